/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions on arguments, as instructions of a seccomp filter. Brunt writes
 * these itself: libseccomp takes one comparison of each argument in a rule
 * ("3 <= fd <= 9" is two), says them again for each call, and (2.5.4) decides
 * wrongly when several rules of one call are about different arguments, which
 * the property test of test_filter.c showed.
 */
#pragma once

#include <stddef.h>

#include "syscall/filter.h"

/* A program that is being written; instructions beyond the kernel's limit are counted and not kept. */
struct brunt_program {
	struct sock_filter at[BPF_MAXINSNS];
	size_t count; /* above BPF_MAXINSNS: too long */
};

/* Adds one instruction. */
void brunt_program_add(struct brunt_program *program, struct sock_filter instruction);

/* Adds: when all conditions of the rule hold, return action (SECCOMP_RET_x); else go on behind. */
void brunt_program_add_rule(struct brunt_program *program, const struct brunt_filter_rule *rule, uint32_t action);
