/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hoarder: a child of the holder, without privileges, that opens TCP
 * connections and keeps them. They are its descriptors alone, so the kernel
 * closes them when it ends, however it ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "brunt/role.h"

#define BRUNT_HOARD_SEND_MAX 4096

/* Counts since it began: written by the hoarder, read by the holder. */
struct brunt_hoard_counters {
	uint64_t attempts;
	uint64_t opened;  /* attempts that were answered */
	uint64_t refused; /* by a reset */
	uint64_t failed;  /* for another reason */
	uint64_t closed;  /* by the peer, after they were open */
	uint64_t held;	  /* now */
	uint64_t peak;	  /* most at once */
	uint64_t pending; /* no answer yet */
	uint64_t reason;  /* errno of the last one that failed */
};

/* What it is to do; read in the child, after the fork. */
struct brunt_hoard {
	struct sockaddr_storage to, from;
	socklen_t to_size, from_size; /* from_size 0: any address */
	int interface;		      /* index of the one that it is bound to; 0: none */
	int namespace;		      /* as of brunt_namespace_open(); -1: brunt's own */
	uint64_t connections;
	double rate; /* attempts per second */
	struct brunt_hoard_text {
		const char *bytes; /* or NULL */
		size_t size;
	} send, trickle; /* once, when it is open; to each, every so often */
	uint64_t trickle_every;
	bool reopen; /* in place of those that were refused, failed or were closed */
	bool reset;  /* end by a reset, not in good order */
	struct brunt_identity identity;
	struct brunt_hoard_counters *counters; /* shared */
};

/* The life of the hoarder (see child.h); what: struct brunt_hoard. Never returns. */
void brunt_hoarder_life(const void *what, uint64_t deadline, int socket);

/* How many descriptors it takes, beside those of the connections. */
#define BRUNT_HOARD_DESCRIPTORS 16
