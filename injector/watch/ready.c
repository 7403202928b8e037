/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness of services: tried again and again, 20 ms after the last try,
 * until it is there or the time is over. Nothing is measured here: a
 * certificate need not be trusted, any answer that is no error will do.
 */
#include "watch/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#define PAUSE	    (20 * BRUNT_MS)
#define TRY_MAX_MS  1000L /* one attempt: a lost SYN must not take all the time */
#define ACCURACY_US 1000

struct brunt_readiness {
	struct brunt_readiness *next;
	struct brunt_watch *watch;
	uint32_t service;
	const struct brunt_ready *ready; /* NULL: ready at once */
	uint64_t deadline;
	sd_event_source *timer;
	struct brunt_transfer transfer;
	regex_t line;
	bool has_line;
	char why[BRUNT_WHY_SIZE]; /* of the last try that failed */
	void (*done)(void *user, uint32_t service, int code, const char *why);
	void *user;
};

static void drop(struct brunt_readiness *readiness)
{
	struct brunt_watch *watch = readiness->watch;

	for (struct brunt_readiness **at = &watch->readiness; *at; at = &(*at)->next) {
		if (*at == readiness) {
			*at = readiness->next;
			break;
		}
	}
	if (readiness->transfer.easy) {
		brunt_transfer_cancel(watch->transfers, &readiness->transfer);
		watch->curl->easy_cleanup(readiness->transfer.easy);
	}
	brunt_transfer_done(&readiness->transfer);
	sd_event_source_disable_unref(readiness->timer);
	if (readiness->has_line)
		regfree(&readiness->line);
	free(readiness);
}

void brunt_ready_drop_all(struct brunt_watch *watch)
{
	while (watch->readiness)
		drop(watch->readiness);
}

void brunt_watch_ready_cancel(struct brunt_watch *watch, uint32_t service)
{
	struct brunt_readiness *next;

	for (struct brunt_readiness *readiness = watch->readiness; readiness; readiness = next) {
		next = readiness->next;
		if (readiness->service == service)
			drop(readiness);
	}
}

static void conclude(struct brunt_readiness *readiness, int code)
{
	void (*done)(void *, uint32_t, int, const char *) = readiness->done;
	uint32_t service = readiness->service;
	void *user = readiness->user;
	char why[BRUNT_WHY_SIZE + 64] = "", within[32];

	if (code == -ETIMEDOUT) {
		(void)brunt_duration_print(readiness->ready->within, within, sizeof(within));
		snprintf(why, sizeof(why), "not ready within %s%s%s", within, readiness->why[0] ? ": " : "",
			 readiness->why);
	}
	drop(readiness);
	done(user, service, code, code ? why : NULL);
}

static int wake_at(struct brunt_readiness *readiness, uint64_t when)
{
	int r;

	if (when > readiness->deadline)
		when = readiness->deadline;
	r = sd_event_source_set_time(readiness->timer, (when + BRUNT_US - 1) / BRUNT_US);
	return r < 0 ? r : sd_event_source_set_enabled(readiness->timer, SD_EVENT_ONESHOT);
}

static void on_answer(struct brunt_transfer *transfer, CURLcode code)
{
	struct brunt_readiness *readiness =
		(struct brunt_readiness *)((char *)transfer - offsetof(struct brunt_readiness, transfer));
	const struct brunt_curl *curl = readiness->watch->curl;
	long status = 0;

	if (code != CURLE_OK) {
		(void)brunt_curl_why(curl, transfer->easy, code, readiness->why, sizeof(readiness->why));
	} else if (readiness->ready->http) {
		(void)curl->easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status < 200 || status > 399) {
			snprintf(readiness->why, sizeof(readiness->why), "status %ld", status);
			code = CURLE_HTTP_RETURNED_ERROR;
		}
	}
	if (code == CURLE_OK)
		conclude(readiness, 0);
	else
		(void)wake_at(readiness, brunt_now() + PAUSE);
}

static int try(struct brunt_readiness *readiness)
{
	uint64_t now = brunt_now();

	if (!readiness->ready) {
		conclude(readiness, 0);
		return 0;
	}
	if (now >= readiness->deadline) {
		conclude(readiness, -ETIMEDOUT);
		return 0;
	}
	if (readiness->transfer.easy) {
		if (!readiness->transfer.running &&
		    brunt_transfer_start(readiness->watch->transfers, &readiness->transfer) < 0)
			return wake_at(readiness, now + PAUSE);
		return wake_at(readiness, readiness->deadline);
	}
	if (readiness->ready->file) {
		if (access(readiness->ready->file, F_OK) == 0) {
			conclude(readiness, 0);
			return 0;
		}
		snprintf(readiness->why, sizeof(readiness->why), "'%.*s': %s", 100, readiness->ready->file,
			 strerrordesc_np(errno));
		return wake_at(readiness, now + PAUSE);
	}
	return wake_at(readiness, readiness->deadline);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	return try(user);
}

static int setup_transfer(struct brunt_readiness *readiness)
{
	const struct brunt_ready *ready = readiness->ready;
	const struct brunt_curl *curl = readiness->watch->curl;
	BRUNT_AUTO_FREE char *url = NULL;
	CURL *easy;

	if (!curl)
		return -EINVAL;
	if (ready->tcp && asprintf(&url, "http://%s/", ready->tcp) < 0) {
		url = NULL;
		return -ENOMEM;
	}
	easy = brunt_http_handle(curl, url ? url : ready->http, false);
	if (!easy)
		return -ENOMEM;
	readiness->transfer.easy = easy;
	readiness->transfer.done = on_answer;
	(void)curl->easy_setopt(easy, CURLOPT_TIMEOUT_MS, TRY_MAX_MS);
	(void)curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	(void)curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	if (ready->tcp)
		(void)curl->easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	return 0;
}

static int setup(struct brunt_readiness *readiness, struct brunt_error *err)
{
	const struct brunt_ready *ready = readiness->ready;
	int r;

	r = sd_event_add_time(readiness->watch->loop, &readiness->timer, CLOCK_BOOTTIME, brunt_now() / BRUNT_US,
			      ACCURACY_US, on_timer, readiness);
	if (r < 0)
		return brunt_fail(err, -r, "cannot set a timer");
	if (ready && ready->line) {
		r = brunt_regex_compile(&readiness->line, ready->line, err);
		if (r < 0)
			return r;
		readiness->has_line = true;
		snprintf(readiness->why, sizeof(readiness->why), "no line matched");
	}
	if (ready && (ready->tcp || ready->http)) {
		r = setup_transfer(readiness);
		if (r < 0)
			return brunt_fail(err, -r, "cannot prepare the readiness probe");
	}
	return 0;
}

int brunt_watch_ready(struct brunt_watch *watch, uint32_t service,
		      void (*done)(void *user, uint32_t service, int code, const char *why), void *user,
		      struct brunt_error *err)
{
	const struct brunt_service *services = watch->plan->services.items;
	struct brunt_readiness *readiness;
	int r;

	brunt_watch_ready_cancel(watch, service);
	readiness = calloc(1, sizeof(*readiness));
	if (!readiness)
		return brunt_fail(err, ENOMEM, "out of memory");
	readiness->watch = watch;
	readiness->service = service;
	readiness->ready = services[service].ready;
	readiness->deadline = readiness->ready ? brunt_now() + readiness->ready->within : UINT64_MAX;
	readiness->done = done;
	readiness->user = user;
	r = setup(readiness, err);
	if (r < 0) {
		drop(readiness);
		return r;
	}
	readiness->next = watch->readiness;
	watch->readiness = readiness;
	return 0;
}

void brunt_ready_line(struct brunt_watch *watch, uint32_t service, const char *line)
{
	for (struct brunt_readiness *readiness = watch->readiness; readiness; readiness = readiness->next) {
		if (readiness->service != service || !readiness->has_line)
			continue;
		if (!regexec(&readiness->line, line, 0, NULL, 0)) {
			conclude(readiness, 0);
			return;
		}
	}
}
