/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP and TCP probes. Unless keep_alive is set, nothing is remembered from
 * one probe to the next (connections, TLS sessions, addresses of names): each
 * of them would hide a failover. Proxies from the environment are ignored, so
 * that what is measured is the URL that the plan names.
 */
#include "watch/watch.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"

#define REDIRECTS_MAX 10L
#define PENDING_MAX   64

struct brunt_range {
	long first, last;
};

CURL *brunt_http_handle(const struct brunt_curl *curl, const char *url, bool keep_alive)
{
	__typeof__(curl->easy_setopt) set = curl->easy_setopt;
	CURL *easy = curl->easy_init();

	if (!easy)
		return NULL;
	if (set(easy, CURLOPT_URL, url) != CURLE_OK) {
		curl->easy_cleanup(easy);
		return NULL;
	}
	(void)set(easy, CURLOPT_NOSIGNAL, 1L);
	(void)set(easy, CURLOPT_NOPROXY, "*");
	(void)set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)set(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	(void)set(easy, CURLOPT_USERAGENT, "brunt/" BRUNT_VERSION);
	/* Else giving up on a name that does not resolve would wait for the resolver (from 7.87 on). */
	(void)set(easy, CURLOPT_QUICK_EXIT, 1L);
	if (!keep_alive) {
		(void)set(easy, CURLOPT_FRESH_CONNECT, 1L);
		(void)set(easy, CURLOPT_FORBID_REUSE, 1L);
		(void)set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
		(void)set(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	}
	return easy;
}

/* ---- settings ---- */

static bool parse_range(const char *text, struct brunt_range *ret)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	if (text[1] == 'x' && text[2] == 'x' && !text[3]) {
		ret->first = (text[0] - '0') * 100L;
		ret->last = ret->first + 99;
		return true;
	}
	ret->first = ret->last = strtol(text, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		ret->last = strtol(end + 1, &end, 10);
	return !*end && ret->first >= 100 && ret->first <= ret->last && ret->last <= 599;
}

static int parse_status(struct brunt_source *source, struct brunt_error *err)
{
	const struct brunt_list *list = &source->sli->http->status;
	const char *const *words = list->items;

	source->status = calloc(list->count ? list->count : 1, sizeof(*source->status));
	if (!source->status)
		return brunt_fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < list->count; i++) {
		if (!parse_range(words[i], source->status + i))
			return brunt_fail(err, EINVAL, "'%s' is no status; write \"200\", \"2xx\" or \"200-204\"",
					  words[i]);
	}
	return 0;
}

static int add_header(struct brunt_source *source, const char *key, const char *value)
{
	const struct brunt_curl *curl = source->watch->curl;
	BRUNT_AUTO_FREE char *line = NULL;
	struct curl_slist *longer;

	/* libcurl takes "Name:" as the wish to leave a header out, and "Name;" as an empty one. */
	if (asprintf(&line, *value ? "%s: %s" : "%s;", key, value) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	longer = curl->slist_append(source->headers, line);
	if (!longer)
		return -ENOMEM;
	source->headers = longer;
	return 0;
}

static int setup_headers(struct brunt_source *source, struct brunt_error *err)
{
	struct curl_slist *longer;

	BRUNT_FOREACH (const struct brunt_pair, pair, source->sli->http->headers) {
		if (strpbrk(pair->key, "\r\n") || strpbrk(pair->value, "\r\n"))
			return brunt_fail(err, EINVAL, "header '%s' holds a line break", pair->key);
		if (add_header(source, pair->key, pair->value) < 0)
			return brunt_fail(err, ENOMEM, "out of memory");
	}
	/* A body is sent at once, without asking the server first. */
	longer = source->watch->curl->slist_append(source->headers, "Expect:");
	if (!longer)
		return brunt_fail(err, ENOMEM, "out of memory");
	source->headers = longer;
	return 0;
}

static int http_setup(struct brunt_source *source, struct brunt_error *err)
{
	const struct brunt_http_sli *http = source->sli->http;
	int r;

	source->latency = !http->value;
	r = parse_status(source, err);
	if (r < 0)
		return r;
	r = setup_headers(source, err);
	if (r < 0)
		return r;
	if (http->match) {
		r = brunt_regex_compile(&source->good, http->match, err);
		if (r < 0)
			return r;
		source->has_good = true;
	}
	return 0;
}

static int tcp_setup(struct brunt_source *source, struct brunt_error *err)
{
	source->latency = true;
	if (asprintf(&source->url, "http://%s/", source->sli->tcp->connect) < 0) {
		source->url = NULL;
		return brunt_fail(err, ENOMEM, "out of memory");
	}
	return 0;
}

static void clean(struct brunt_source *source)
{
	const struct brunt_curl *curl = source->watch->curl;

	while (source->idle_count)
		curl->easy_cleanup(source->idle[--source->idle_count]);
	if (source->headers)
		curl->slist_free_all(source->headers);
	if (source->has_good)
		regfree(&source->good);
	free(source->status);
	free(source->url);
}

/* ---- requests ---- */

static void set_method(CURL *easy, __typeof__(curl_easy_setopt) *set, const struct brunt_http_sli *http)
{
	const char *method = http->method ? http->method : "GET";

	if (!strcmp(method, "HEAD")) {
		(void)set(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (http->body || !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH")) {
		const char *body = http->body ? http->body : "";

		(void)set(easy, CURLOPT_POSTFIELDS, body);
		(void)set(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	}
	if (http->body || (strcmp(method, "GET") && strcmp(method, "POST")))
		(void)set(easy, CURLOPT_CUSTOMREQUEST, method);
}

static CURL *http_handle(struct brunt_source *source)
{
	const struct brunt_curl *curl = source->watch->curl;
	const struct brunt_http_sli *http = source->sli->http;
	CURL *easy = brunt_http_handle(curl, http->url, http->keep_alive);

	if (!easy)
		return NULL;
	(void)curl->easy_setopt(easy, CURLOPT_HTTPHEADER, source->headers);
	set_method(easy, curl->easy_setopt, http);
	if (http->unix_socket)
		(void)curl->easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
	if (http->insecure) {
		(void)curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		(void)curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (http->follow) {
		(void)curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
		(void)curl->easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	}
	return easy;
}

static CURL *tcp_handle(struct brunt_source *source)
{
	const struct brunt_curl *curl = source->watch->curl;
	CURL *easy = brunt_http_handle(curl, source->url, false);

	if (easy)
		(void)curl->easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	return easy;
}

/* The handle is of use for the next request. */
static void release(struct brunt_request *request)
{
	struct brunt_source *source = request->source;

	if (source->idle_count < BRUNT_COUNT(source->idle))
		source->idle[source->idle_count++] = request->transfer.easy;
	else
		source->watch->curl->easy_cleanup(request->transfer.easy);
	request->transfer.easy = NULL;
}

static int begin(struct brunt_request *request, CURL *(*make)(struct brunt_source *), struct brunt_error *err)
{
	struct brunt_source *source = request->source;

	request->transfer.easy = source->idle_count ? source->idle[--source->idle_count] : make(source);
	if (!request->transfer.easy)
		return brunt_fail(err, ENOMEM, "not sampled: out of memory");
	if (brunt_transfer_start(source->watch->transfers, &request->transfer) < 0) {
		release(request);
		return brunt_fail(err, ENOMEM, "not sampled: out of memory");
	}
	return 0;
}

static void cancel(struct brunt_request *request)
{
	brunt_transfer_cancel(request->source->watch->transfers, &request->transfer);
	release(request);
}

static struct brunt_request *request_of(struct brunt_transfer *transfer)
{
	return (struct brunt_request *)((char *)transfer - offsetof(struct brunt_request, transfer));
}

/* ---- answers ---- */

static bool status_is_good(const struct brunt_source *source, long status)
{
	size_t count = source->sli->http->status.count;

	if (!count)
		return status >= 200 && status <= 399;
	for (size_t i = 0; i < count; i++) {
		if (status >= source->status[i].first && status <= source->status[i].last)
			return true;
	}
	return false;
}

/* REG_STARTEND: the subject is what lies between the offsets, zero bytes included. */
static bool body_matches(const struct brunt_source *source, const struct brunt_transfer *transfer)
{
	regmatch_t match = { .rm_so = 0, .rm_eo = transfer->body ? (regoff_t)transfer->body_size : 0 };

	return !regexec(&source->good, transfer->body ? transfer->body : "", 1, &match, REG_STARTEND);
}

/* One reference token of a JSON Pointer (RFC 6901), unescaped in place. Returns what comes after it. */
static char *next_token(char *token)
{
	char *end = strchr(token, '/'), *out = token;

	if (end)
		*end++ = '\0';
	for (const char *in = token; *in; in++, out++) {
		*out = *in;
		if (*in == '~' && (in[1] == '0' || in[1] == '1'))
			*out = *++in == '0' ? '~' : '/';
	}
	*out = '\0';
	return end;
}

static json_t *element(json_t *value, const char *token)
{
	size_t i = 0;

	if (json_is_object(value))
		return json_object_get(value, token);
	if (!json_is_array(value) || !*token || strlen(token) > 9 || (*token == '0' && token[1]))
		return NULL;
	for (; isdigit((unsigned char)*token); token++)
		i = i * 10 + (size_t)(*token - '0');
	return *token ? NULL : json_array_get(value, i);
}

/* The value that a JSON Pointer names, borrowed from root, or NULL. pointer is taken apart. */
static json_t *find(json_t *root, char *pointer)
{
	json_t *value = root;
	char *token = *pointer == '/' ? pointer + 1 : NULL;

	while (token && value) {
		char *next = next_token(token);

		value = element(value, token);
		token = next;
	}
	return value;
}

static int read_value(const struct brunt_source *source, const struct brunt_transfer *transfer, double *ret,
		      const char **ret_why)
{
	json_t *root = NULL, *value;
	char *pointer;
	int r = -EINVAL;

	*ret_why = transfer->body_full ? "body is larger than 1 MiB" : "body is not JSON";
	if (transfer->body && !transfer->body_full)
		root = json_loadb(transfer->body, transfer->body_size, JSON_DECODE_ANY, NULL);
	if (!root)
		return -EINVAL;
	pointer = strdup(source->sli->http->value);
	value = pointer ? find(root, pointer) : NULL;
	*ret_why = value ? "value is not a number" : "body has no such value";
	if (json_is_number(value)) {
		*ret = json_number_value(value) * source->sli->factor;
		r = 0;
	}
	free(pointer);
	json_decref(root);
	return r;
}

static void judge_answer(struct brunt_request *request, CURLcode code, char *why, struct brunt_outcome *outcome)
{
	const struct brunt_source *source = request->source;
	const struct brunt_curl *curl = source->watch->curl;
	long status = 0;

	if (code != CURLE_OK) {
		outcome->why = brunt_curl_why(curl, request->transfer.easy, code, why, BRUNT_WHY_SIZE);
		return;
	}
	(void)curl->easy_getinfo(request->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	if (!status_is_good(source, status)) {
		snprintf(why, BRUNT_WHY_SIZE, "status %ld", status);
		return;
	}
	if (source->has_good && !body_matches(source, &request->transfer)) {
		outcome->why = "body does not match";
		return;
	}
	if (source->sli->http->value && read_value(source, &request->transfer, &outcome->value, &outcome->why) < 0)
		return;
	outcome->has_value = outcome->good = true;
}

static void http_done(struct brunt_transfer *transfer, CURLcode code)
{
	struct brunt_request *request = request_of(transfer);
	uint64_t took = brunt_now() - request->started;
	char why[BRUNT_WHY_SIZE] = "";
	struct brunt_outcome outcome = { .judged = true, .value = (double)took, .why = why };

	judge_answer(request, code, why, &outcome);
	release(request);
	if (outcome.good)
		brunt_request_finish(request, &outcome);
	else
		brunt_request_fail(request, outcome.why);
}

static void tcp_done(struct brunt_transfer *transfer, CURLcode code)
{
	struct brunt_request *request = request_of(transfer);
	struct brunt_outcome outcome = { .judged = true, .good = true, .has_value = true };
	char why[BRUNT_WHY_SIZE];

	outcome.value = (double)(brunt_now() - request->started);
	if (code != CURLE_OK)
		(void)brunt_curl_why(request->source->watch->curl, transfer->easy, code, why, sizeof(why));
	release(request);
	if (code == CURLE_OK)
		brunt_request_finish(request, &outcome);
	else
		brunt_request_fail(request, why);
}

static int http_begin(struct brunt_request *request, struct brunt_error *err)
{
	request->transfer.done = http_done;
	request->transfer.keep_body = request->source->has_good || request->source->sli->http->value;
	return begin(request, http_handle, err);
}

static int tcp_begin(struct brunt_request *request, struct brunt_error *err)
{
	request->transfer.done = tcp_done;
	return begin(request, tcp_handle, err);
}

const struct brunt_source_kind brunt_source_http = {
	.pending_max = PENDING_MAX,
	.setup = http_setup,
	.clean = clean,
	.begin = http_begin,
	.cancel = cancel,
};

const struct brunt_source_kind brunt_source_tcp = {
	.pending_max = PENDING_MAX,
	.setup = tcp_setup,
	.clean = clean,
	.begin = tcp_begin,
	.cancel = cancel,
};
