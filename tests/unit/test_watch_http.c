/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP and TCP probes against a real server that behaves as badly as servers do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "watch_lab.h"

#define EVERY (100 * BRUNT_MS)

static struct server four;
static struct brunt_http_sli http;
static struct brunt_tcp_sli tcp;
static char url[256];

static int start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return server_start(&four, AF_INET) ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	server_stop(&four);
	return 0;
}

static struct brunt_sli *probe(struct lab *lab, const char *path)
{
	struct brunt_sli *sli = lab_sli(lab, BRUNT_SLI_HTTP, EVERY, 20 * BRUNT_S);

	snprintf(url, sizeof(url), "http://%s%s", four.where, path);
	http = (struct brunt_http_sli){ .url = url, .method = "GET" };
	sli->http = &http;
	return sli;
}

static void assert_good(const struct brunt_sample *sample)
{
	assert_string_equal(sample->why, "");
	assert_true(sample->judged && sample->good);
}

static void assert_bad(const struct brunt_sample *sample, const char *why)
{
	assert_string_equal(sample->why, why);
	assert_true(sample->judged && !sample->good);
}

static void an_answer_is_a_good_sample_whose_value_is_its_latency(void **state)
{
	struct lab *lab = *state;
	const struct brunt_sample *sample;

	probe(lab, "/slow");
	sample = lab_first(lab);
	assert_good(sample);
	assert_true(sample->has_value);
	assert_true(sample->value >= 150 * BRUNT_MS && sample->value <= (double)(sample->done - sample->at));
	assert_int_equal(sample->sli, 0);
}

static void a_status_of_500_is_bad_and_infinitely_slow(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/503");
	assert_bad(lab_first(lab), "status 503");
	assert_true(lab->samples->has_value && isinf(lab->samples->value));
}

static void the_statuses_that_count_as_good_can_be_listed(void **state)
{
	static const struct {
		const char *path, *words[2];
		bool good;
	} cases[] = {
		{ "/503", { "503", NULL }, true },	 { "/503", { "2xx", "5xx" }, true },
		{ "/503", { "500-502", NULL }, false },	 { "/503", { "500-503", NULL }, true },
		{ "/204", { "200", NULL }, false },	 { "/204", { "200-204", NULL }, true },
		{ "/redirect", { "2xx", NULL }, false }, { "/redirect", { NULL, NULL }, true },
	};

	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct lab *lab = lab_make();

		(void)state;
		probe(lab, cases[i].path);
		http.status.items = (void *)cases[i].words;
		http.status.count = !!cases[i].words[0] + !!cases[i].words[1];
		assert_int_equal(lab_first(lab)->good, cases[i].good);
		lab_end(lab);
	}
}

static void a_wrong_status_word_is_refused_at_the_start(void **state)
{
	static const char *const words[] = { "abc", "2x", "700", "204-200", "200-", "20", "" };
	struct lab *lab = *state;

	probe(lab, "/ok");
	for (size_t i = 0; i < BRUNT_COUNT(words); i++) {
		struct brunt_error err = { 0 };

		http.status.items = (void *)&words[i];
		http.status.count = 1;
		assert_int_equal(brunt_watch_new(lab->loop, &lab->plan, NULL, &lab->ops, lab, &lab->watch, &err),
				 -EINVAL);
		assert_non_null(strstr(err.msg, "SLI 'site': '"));
	}
	assert_null(lab->watch);
}

static void a_body_must_match_when_a_pattern_is_given(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/ok");
	http.match = "^hello w.*d";
	assert_good(lab_first(lab));
	http.match = "goodbye";
	brunt_watch_free(lab->watch);
	lab->watch = NULL;
	lab->count = 0;
	assert_bad(lab_first(lab), "body does not match");
}

static void a_match_is_found_behind_a_zero_byte(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/zero");
	http.match = "needle";
	assert_good(lab_first(lab));
}

static void nobody_listening_is_connection_refused(void **state)
{
	struct lab *lab = *state;
	struct server gone;

	assert_true(server_start(&gone, AF_INET));
	server_stop(&gone);
	probe(lab, "/ok");
	snprintf(url, sizeof(url), "http://%s/ok", gone.where);
	assert_bad(lab_first(lab), "connection refused");
	assert_true(isinf(lab->samples->value));
}

static void broken_answers_are_bad_and_say_why(void **state)
{
	static const struct {
		const char *path, *why;
	} cases[] = {
		{ "/close", "connection closed without an answer" },
		{ "/partial", "answer broke off" },
		{ "/reset", "connection reset" },
		{ "/garbage", "answer is not HTTP" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct lab *lab = lab_make();

		probe(lab, cases[i].path);
		assert_bad(lab_first(lab), cases[i].why);
		lab_end(lab);
	}
}

static void an_endless_body_is_read_up_to_a_mebibyte(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/huge");
	assert_good(lab_first(lab));
	http.match = "^x";
	brunt_watch_free(lab->watch);
	lab->watch = NULL;
	lab->count = 0;
	assert_good(lab_first(lab));
	http.match = NULL;
	http.value = "/a";
	brunt_watch_free(lab->watch);
	lab->watch = NULL;
	lab->count = 0;
	assert_bad(lab_first(lab), "body is larger than 1 MiB");
}

static void a_value_is_found_by_json_pointer_in_its_unit(void **state)
{
	static const struct {
		const char *path, *pointer;
		double value;
		const char *why;
	} cases[] = {
		{ "/json", "/a/b/1", 2.5e6, "" },
		{ "/json", "/a/b/2/c~0~1d", 7e6, "" },
		{ "/json", "/", 3e6, "" },
		{ "/json", "/a/b/3", 0, "body has no such value" },
		{ "/json", "/a/b/01", 0, "body has no such value" },
		{ "/json", "/a/b/-", 0, "body has no such value" },
		{ "/json", "/nothing/there", 0, "body has no such value" },
		{ "/json", "/text", 0, "value is not a number" },
		{ "/json", "", 0, "value is not a number" },
		{ "/ok", "/a", 0, "body is not JSON" },
		{ "/503", "/a", 0, "status 503" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		const struct brunt_sample *sample;
		struct lab *lab = lab_make();

		probe(lab, cases[i].path)->factor = 1e6;
		http.value = cases[i].pointer;
		sample = lab_first(lab);
		assert_string_equal(sample->why, cases[i].why);
		assert_int_equal(sample->good, !*cases[i].why);
		/* A number that could not be read is not infinite: it is absent. */
		assert_int_equal(sample->has_value, sample->good);
		if (sample->good)
			assert_true(fabs(sample->value - cases[i].value) < 1e-3);
		lab_end(lab);
	}
}

static void every_probe_makes_a_connection_of_its_own(void **state)
{
	struct lab *lab = *state;
	int before = atomic_load(&four.counters->connections);

	probe(lab, "/ok");
	lab_start(lab);
	for (int i = 0; i < 3; i++)
		(void)lab_next(lab);
	assert_true(atomic_load(&four.counters->connections) - before >= 3);
}

/* Samples that were not answered when the next one was due. */
static int overlaps(const struct lab *lab)
{
	int count = 0;

	for (size_t i = 0; i < lab->count; i++)
		count += !lab_was_late(lab->samples + i) && lab->samples[i].done - lab->samples[i].at >= EVERY;
	return count;
}

static void keep_alive_uses_one_connection(void **state)
{
	struct lab *lab = *state;
	bool alone = false;
	int before = atomic_load(&four.counters->connections);
	int requests = atomic_load(&four.counters->requests);

	probe(lab, "/ok");
	http.keep_alive = true;
	lab_start(lab);
	for (int i = 0; i < 10 && !alone; i++) {
		alone = true;
		for (int j = 0; j < 5; j++) {
			const struct brunt_sample *sample = lab_next(lab);

			alone &= sample->done - sample->at < EVERY;
		}
	}
	assert_true(atomic_load(&four.counters->requests) - requests >= 5);
	/* a request that is due before the last one was answered has another one */
	assert_true(alone);
	assert_true(atomic_load(&four.counters->connections) - before <= 1 + overlaps(lab));
}

static void method_headers_body_and_user_agent_arrive(void **state)
{
	static const struct brunt_pair headers[] = { { "X-Test", "yes" }, { "X-Empty", "" } };
	struct lab *lab = *state;

	probe(lab, "/echo");
	http.method = "PUT";
	http.body = "the body";
	http.headers.items = (void *)headers;
	http.headers.count = 2;
	http.match = "^PUT /echo .*User-Agent: brunt/[0-9.]+.*X-Test: yes.*X-Empty:.*the body$";
	assert_good(lab_first(lab));
}

static void a_post_without_a_body_is_a_post(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/echo");
	http.method = "POST";
	http.match = "^POST /echo .*Content-Length: 0";
	assert_good(lab_first(lab));
}

static void a_header_with_a_line_break_is_refused(void **state)
{
	static const struct brunt_pair header = { "X-Test", "yes\r\nX-Evil: 1" };
	struct brunt_error err = { 0 };
	struct lab *lab = *state;

	probe(lab, "/ok");
	http.headers.items = (void *)&header;
	http.headers.count = 1;
	assert_int_equal(brunt_watch_new(lab->loop, &lab->plan, NULL, &lab->ops, lab, &lab->watch, &err), -EINVAL);
}

static void redirects_are_followed_only_when_asked_and_only_to_http(void **state)
{
	static const struct {
		const char *path, *status, *why;
		bool follow;
	} cases[] = {
		{ "/redirect", "200", "status 302", false },
		{ "/redirect", "200", "", true },
		{ "/loop", "200", "too many redirects", true },
		{ "/away", "200", "answer is not HTTP", true },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct lab *lab = lab_make();

		probe(lab, cases[i].path);
		http.follow = cases[i].follow;
		http.status.items = (void *)&cases[i].status;
		http.status.count = 1;
		assert_string_equal(lab_first(lab)->why, cases[i].why);
		lab_end(lab);
	}
}

static void a_proxy_in_the_environment_is_ignored(void **state)
{
	struct lab *lab = *state;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	probe(lab, "/ok");
	assert_good(lab_first(lab));
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void ipv6_is_probed(void **state)
{
	struct lab *lab = *state;
	struct server six;

	if (!server_start(&six, AF_INET6)) {
		print_message("no IPv6 on this host's loopback\n");
		skip();
	}
	probe(lab, "/ok");
	snprintf(url, sizeof(url), "http://%s/ok", six.where);
	lab_first(lab);
	server_stop(&six);
	assert_good(lab->samples);
}

static void a_unix_socket_is_probed(void **state)
{
	struct lab *lab = *state;
	struct server local;

	assert_true(server_start(&local, AF_UNIX));
	probe(lab, "/ok");
	snprintf(url, sizeof(url), "http://localhost/ok");
	http.unix_socket = local.where;
	lab_first(lab);
	server_stop(&local);
	assert_good(lab->samples);
}

static void a_name_without_address_is_bad(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/ok");
	snprintf(url, sizeof(url), "http://name.invalid/ok");
	assert_bad(lab_first(lab), "host name cannot be resolved");
}

/* ---- tcp ---- */

static struct brunt_sli *tcp_probe(struct lab *lab, const char *where)
{
	struct brunt_sli *sli = lab_sli(lab, BRUNT_SLI_TCP, EVERY, 20 * BRUNT_S);

	tcp.connect = where;
	sli->tcp = &tcp;
	return sli;
}

static void a_connection_is_a_good_sample_with_its_latency_and_is_closed_again(void **state)
{
	struct lab *lab = *state;
	int before = atomic_load(&four.counters->connections), requests = atomic_load(&four.counters->requests);

	tcp_probe(lab, four.where);
	lab_start(lab);
	lab_run_until(lab, 5);
	for (size_t i = 0; i < 5; i++) {
		if (lab_was_late(lab->samples + i))
			continue;
		assert_good(lab->samples + i);
		assert_true(lab->samples[i].value > 0 &&
			    lab->samples[i].value <= (double)(lab->samples[i].done - lab->samples[i].at));
	}
	for (int i = 0; i < 3; i++)
		(void)lab_next(lab);
	assert_true(atomic_load(&four.counters->connections) - before >= 3);
	assert_int_equal(atomic_load(&four.counters->requests), requests);
}

static size_t open_sockets(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		int type;
		socklen_t size = sizeof(type);

		count += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
	}
	return count;
}

static void probes_leave_no_socket_behind(void **state)
{
	struct lab *lab = *state;
	size_t before = open_sockets();

	tcp_probe(lab, four.where);
	probe(lab, "/ok");
	lab_start(lab);
	lab_run_until(lab, 20);
	brunt_watch_stop(lab->watch);
	/* libcurl may keep a pair of its own to wake itself up. */
	assert_true(open_sockets() <= before + 2);
	brunt_watch_free(lab->watch);
	lab->watch = NULL;
	assert_int_equal(open_sockets(), before);
}

static void a_refused_connection_is_bad_for_tcp_too(void **state)
{
	struct lab *lab = *state;
	struct server gone;

	assert_true(server_start(&gone, AF_INET));
	server_stop(&gone);
	tcp_probe(lab, gone.where);
	assert_bad(lab_first(lab), "connection refused");
	assert_true(isinf(lab->samples->value));
}

static void tcp_names_are_resolved(void **state)
{
	struct lab *lab = *state;
	char where[64];

	snprintf(where, sizeof(where), "localhost%s", strrchr(four.where, ':'));
	tcp_probe(lab, where);
	assert_good(lab_first(lab));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_answer_is_a_good_sample_whose_value_is_its_latency),
		TEST(a_status_of_500_is_bad_and_infinitely_slow),
		TEST(the_statuses_that_count_as_good_can_be_listed),
		TEST(a_wrong_status_word_is_refused_at_the_start),
		TEST(a_body_must_match_when_a_pattern_is_given),
		TEST(a_match_is_found_behind_a_zero_byte),
		TEST(nobody_listening_is_connection_refused),
		TEST(broken_answers_are_bad_and_say_why),
		TEST(an_endless_body_is_read_up_to_a_mebibyte),
		TEST(a_value_is_found_by_json_pointer_in_its_unit),
		TEST(every_probe_makes_a_connection_of_its_own),
		TEST(keep_alive_uses_one_connection),
		TEST(method_headers_body_and_user_agent_arrive),
		TEST(a_post_without_a_body_is_a_post),
		TEST(a_header_with_a_line_break_is_refused),
		TEST(redirects_are_followed_only_when_asked_and_only_to_http),
		TEST(a_proxy_in_the_environment_is_ignored),
		TEST(ipv6_is_probed),
		TEST(a_unix_socket_is_probed),
		TEST(a_name_without_address_is_bad),
		TEST(a_connection_is_a_good_sample_with_its_latency_and_is_closed_again),
		TEST(probes_leave_no_socket_behind),
		TEST(a_refused_connection_is_bad_for_tcp_too),
		TEST(tcp_names_are_resolved),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
