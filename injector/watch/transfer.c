/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/transfer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#define ACCURACY_US 1000

/* A descriptor that libcurl wants to hear of. */
struct socket {
	struct socket *next;
	sd_event_source *source;
};

struct brunt_transfers {
	const struct brunt_curl *curl;
	sd_event *loop;
	CURLM *multi;
	sd_event_source *timer;
	struct socket *sockets;
};

static void drop_socket(struct brunt_transfers *transfers, struct socket *socket)
{
	struct socket **at = &transfers->sockets;

	while (*at != socket)
		at = &(*at)->next;
	*at = socket->next;
	sd_event_source_disable_unref(socket->source);
	free(socket);
}

/* Hands the transfers that are over back to their owners, who may start and cancel others meanwhile. */
static void collect(struct brunt_transfers *transfers)
{
	const struct brunt_curl *curl = transfers->curl;
	CURLMsg *message;
	int left;

	while ((message = curl->multi_info_read(transfers->multi, &left))) {
		struct brunt_transfer *transfer = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		/* After this the message is gone. */
		(void)curl->multi_remove_handle(transfers->multi, transfer->easy);
		transfer->running = false;
		if (transfer->body_full && code == CURLE_WRITE_ERROR)
			code = CURLE_OK;
		transfer->done(transfer, code);
	}
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct brunt_transfers *transfers = user;
	int running, ready = 0;

	(void)source;
	if (events & EPOLLIN)
		ready |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		ready |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		ready |= CURL_CSELECT_ERR;
	(void)transfers->curl->multi_socket_action(transfers->multi, fd, ready, &running);
	collect(transfers);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct brunt_transfers *transfers = user;
	int running;

	(void)source;
	(void)usec;
	(void)transfers->curl->multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(transfers);
	return 0;
}

/* Called by libcurl, in the middle of its work: only takes note. */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socketp)
{
	struct brunt_transfers *transfers = user;
	struct socket *socket = socketp;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			drop_socket(transfers, socket);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (socket)
		return sd_event_source_set_io_events(socket->source, events) < 0 ? -1 : 0;
	socket = calloc(1, sizeof(*socket));
	if (!socket)
		return -1;
	if (sd_event_add_io(transfers->loop, &socket->source, fd, events, on_socket, transfers) < 0) {
		free(socket);
		return -1;
	}
	socket->next = transfers->sockets;
	transfers->sockets = socket;
	(void)transfers->curl->multi_assign(transfers->multi, fd, socket);
	return 0;
}

static int want_timer(CURLM *multi, long ms, void *user)
{
	struct brunt_transfers *transfers = user;

	(void)multi;
	if (ms < 0)
		return sd_event_source_set_enabled(transfers->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	if (sd_event_source_set_time(transfers->timer, (brunt_now() + (uint64_t)ms * BRUNT_MS) / BRUNT_US) < 0)
		return -1;
	return sd_event_source_set_enabled(transfers->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

int brunt_transfers_new(sd_event *loop, const struct brunt_curl *curl, struct brunt_transfers **ret)
{
	struct brunt_transfers *transfers = calloc(1, sizeof(*transfers));
	int r;

	if (!transfers)
		return -ENOMEM;
	transfers->curl = curl;
	transfers->loop = sd_event_ref(loop);
	r = sd_event_add_time(loop, &transfers->timer, CLOCK_BOOTTIME, 0, ACCURACY_US, on_timer, transfers);
	if (r >= 0)
		r = sd_event_source_set_enabled(transfers->timer, SD_EVENT_OFF);
	if (r >= 0) {
		transfers->multi = curl->multi_init();
		r = transfers->multi ? 0 : -ENOMEM;
	}
	if (r < 0) {
		brunt_transfers_free(transfers);
		return r;
	}
	(void)curl->multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	(void)curl->multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
	(void)curl->multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	(void)curl->multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
	*ret = transfers;
	return 0;
}

void brunt_transfers_free(struct brunt_transfers *transfers)
{
	if (!transfers)
		return;
	if (transfers->multi)
		(void)transfers->curl->multi_cleanup(transfers->multi);
	while (transfers->sockets)
		drop_socket(transfers, transfers->sockets);
	sd_event_source_disable_unref(transfers->timer);
	sd_event_unref(transfers->loop);
	free(transfers);
}

static bool keep(struct brunt_transfer *transfer, const char *data, size_t size)
{
	size_t needed = transfer->body_size + size + 1;

	if (needed > transfer->body_capacity) {
		size_t capacity = transfer->body_capacity ? transfer->body_capacity * 2 : 4096;
		char *body;

		if (capacity < needed)
			capacity = needed;
		body = realloc(transfer->body, capacity);
		if (!body)
			return false;
		transfer->body = body;
		transfer->body_capacity = capacity;
	}
	memcpy(transfer->body + transfer->body_size, data, size);
	transfer->body[transfer->body_size + size] = '\0';
	return true;
}

/* Returning less than was given ends the transfer. */
static size_t on_data(char *data, size_t one, size_t count, void *user)
{
	struct brunt_transfer *transfer = user;
	size_t size = one * count, room = BRUNT_BODY_MAX - transfer->body_size;

	transfer->body_full = size > room;
	if (transfer->body_full)
		size = room;
	if (transfer->keep_body && size && !keep(transfer, data, size)) {
		transfer->body_full = false;
		return 0;
	}
	transfer->body_size += size;
	return transfer->body_full ? 0 : size;
}

int brunt_transfer_start(struct brunt_transfers *transfers, struct brunt_transfer *transfer)
{
	const struct brunt_curl *curl = transfers->curl;

	transfer->body_size = 0;
	transfer->body_full = false;
	(void)curl->easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	(void)curl->easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, on_data);
	(void)curl->easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
	if (curl->multi_add_handle(transfers->multi, transfer->easy) != CURLM_OK)
		return -ENOMEM;
	transfer->running = true;
	return 0;
}

void brunt_transfer_cancel(struct brunt_transfers *transfers, struct brunt_transfer *transfer)
{
	if (!transfer->running)
		return;
	(void)transfers->curl->multi_remove_handle(transfers->multi, transfer->easy);
	transfer->running = false;
}

void brunt_transfer_done(struct brunt_transfer *transfer)
{
	free(transfer->body);
	transfer->body = NULL;
	transfer->body_size = transfer->body_capacity = 0;
}
