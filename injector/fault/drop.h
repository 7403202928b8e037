/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losing packets: what packet.drop and network.partition share. Each of them
 * has a table of parameters of its own, and says with struct brunt_drop what
 * of bpf/packet_drop.bpf.c it wants.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/packet_drop.h"
#include "brunt/param.h"

struct brunt_error;
struct brunt_fault;
struct brunt_fault_context;
struct brunt_hits;
struct brunt_names_params;
struct brunt_undo_record;
struct brunt_victims;

enum brunt_direction { BRUNT_EGRESS = 1, BRUNT_INGRESS = 2, BRUNT_BOTH_WAYS = 3 };
extern const struct brunt_value brunt_directions[]; /* the words, for tables */

#define BRUNT_ENDPOINT_HELP "address[/prefix] or host name[:port[-port]][/protocol], [v6]:port, or :port"

/* As in tc-netem(8), "loss gemodel". */
struct brunt_gemodel {
	double p, r; /* chance of going from good to bad, and back */
	bool has_r;
	double lose_bad, lose_good; /* 1-h, 1-k: chance of losing a packet in the bad state, in the good one */
};

/* One address (or network) of a group. */
struct brunt_drop_member {
	struct brunt_endpoint endpoint; /* no ports, no protocol */
	uint32_t group;			/* from 1 */
};

/*
 * Which packets are lost. What pointers point to is borrowed until unload, members until load returns. Zero: not asked
 * for.
 */
struct brunt_drop {
	const char *deed;  /* "drop packets of": for messages */
	const char *group; /* "that opens a connection": what matching packets are besides their ends, or NULL */
	int direction;	   /* enum brunt_direction */
	const struct brunt_list *to, *local, *except;
	const struct brunt_names_params *names; /* how names among them are looked up; may be NULL */
	const struct brunt_drop_member *members;
	size_t member_count;
	bool one_way; /* members: only from an earlier group to a later one */
	struct brunt_drop_flags flags;
	const struct brunt_ramp *probability; /* NULL: always */
	const struct brunt_gemodel *model;    /* instead of it */
	uint64_t nth;			      /* instead of both: every nth */
	uint64_t first;			      /* only of the first so many */
	uint64_t budget;		      /* at most so many */
	bool error;			      /* the sender is told, by EPERM */
};

/* The share of matching packets that is lost in the long run, 0..1; 0 when first or budget end it after a few. */
double brunt_drop_share(const struct brunt_drop *drop);

/* The rest is of struct brunt_injector; the state begins with a struct brunt_bpf, so brunt_bpf_op_* fit, too. */
int brunt_drop_probe(struct brunt_error *err);
void brunt_drop_describe(const struct brunt_victims *victims, char *buf, size_t size);
/* drop is copied. */
int brunt_drop_load(const struct brunt_fault *fault, const struct brunt_fault_context *context,
		    const struct brunt_drop *drop, void **ret_state, struct brunt_error *err);
int brunt_drop_prepare(void *state, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
		       struct brunt_error *err);
int brunt_drop_attach(void *state, struct brunt_error *err);
int brunt_drop_change(void *state, uint64_t elapsed_ns, struct brunt_error *err);
int brunt_drop_poll(void *state, struct brunt_hits *ret);
void brunt_drop_unload(void *state);
