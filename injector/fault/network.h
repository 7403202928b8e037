/* SPDX-License-Identifier: Apache-2.0 */
/* What network.netem and network.rate share: an impairment on a detour. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "brunt/fault.h"
#include "network/impairment.h"
#include "network/names.h"

enum brunt_network_line { BRUNT_NETWORK_AUTO, BRUNT_NETWORK_NETEM, BRUNT_NETWORK_TAP };

struct brunt_network_params {
	struct brunt_netem_params netem; /* first: its rows are offsets from here */
	struct brunt_list to, local, except, interfaces;
	struct brunt_names_params *names; /* or NULL */
	double flows;
	int direction; /* enum brunt_detour_direction */
	int line;      /* enum brunt_network_line */
};

/* The rows that say which packets; S: struct brunt_network_params. */
extern const struct brunt_value brunt_network_directions[], brunt_network_lines[];

int brunt_network_probe(struct brunt_error *err);
int brunt_network_validate(const void *params, int target_kind, struct brunt_error *err);
void brunt_network_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf,
			    size_t size);
int brunt_network_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		       struct brunt_error *err);
int brunt_network_prepare(void *state, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			  struct brunt_error *err);
int brunt_network_attach(void *state, struct brunt_error *err);
int brunt_network_arm(void *state, uint64_t expires, struct brunt_error *err);
void brunt_network_renew(void *state, uint64_t expires);
int brunt_network_change(void *state, uint64_t elapsed, struct brunt_error *err);
int brunt_network_poll(void *state, struct brunt_hits *ret);
bool brunt_network_news(void *state, char *buf, size_t size);
const struct brunt_names *brunt_network_names(const void *state);
void brunt_network_hurry(void *state);
void brunt_network_disarm(void *state);
int brunt_network_verify(void *state, struct brunt_error *err);
void brunt_network_detach(void *state);
int brunt_network_settled(void *state, struct brunt_error *err);
void brunt_network_unload(void *state);
