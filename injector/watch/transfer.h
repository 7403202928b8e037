/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's transfers as citizens of an sd-event loop: no thread, no blocking. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-event.h>

#include "watch/curl.h"

#define BRUNT_BODY_MAX (1024 * 1024) /* bytes; an answer is not read beyond */

struct brunt_transfers;

/* One request. The owner makes and configures easy; body is freed by brunt_transfer_done. */
struct brunt_transfer {
	CURL *easy;
	/* It is over; easy may be used again or freed, other transfers started or cancelled. */
	void (*done)(struct brunt_transfer *transfer, CURLcode code);
	bool keep_body; /* collect the answer */
	bool running;
	bool body_full;	  /* the answer was longer than BRUNT_BODY_MAX: the rest was not read; code is CURLE_OK */
	char *body;	  /* terminated, when keep_body and not empty */
	size_t body_size; /* bytes received, collected or not */
	size_t body_capacity;
};

/* 0, -ENOMEM, -errno of sd-event. loop is referenced. */
int brunt_transfers_new(sd_event *loop, const struct brunt_curl *curl, struct brunt_transfers **ret);
/* All transfers must be over or cancelled. NULL is allowed. */
void brunt_transfers_free(struct brunt_transfers *transfers);

/* Starts; done is called from the loop, never from here. 0 or -ENOMEM. */
int brunt_transfer_start(struct brunt_transfers *transfers, struct brunt_transfer *transfer);
/* Ends it without calling done; nothing happens when it is not running. */
void brunt_transfer_cancel(struct brunt_transfers *transfers, struct brunt_transfer *transfer);
/* Frees the body. */
void brunt_transfer_done(struct brunt_transfer *transfer);
