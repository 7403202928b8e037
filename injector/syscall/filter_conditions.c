/* SPDX-License-Identifier: Apache-2.0 */
#include "syscall/filter_conditions.h"

#include <linux/seccomp.h>

/*
 * Where a comparison may go, before distances are known: a filter jumps forward only, by at most 255 instructions, and
 * a rule of six conditions has fewer than 50.
 */
enum {
	NEXT = 0,
	HOLDS = 254, /* behind this condition */
	FAILS = 255, /* behind this rule */
};

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the halves of arguments lie the other way round"
#endif

void brunt_program_add(struct brunt_program *program, struct sock_filter instruction)
{
	if (program->count < BPF_MAXINSNS)
		program->at[program->count] = instruction;
	program->count++;
}

/* Loads half an argument (0: the low one), and what the mask leaves of it. */
static void load(struct brunt_program *program, const struct brunt_argument *argument, unsigned half)
{
	uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + 8u * argument->index + 4u * half);
	uint32_t mask = (uint32_t)((argument->mask ? argument->mask : UINT64_MAX) >> 32 * half);

	brunt_program_add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
	if (mask != UINT32_MAX)
		brunt_program_add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
}

static void compare(struct brunt_program *program, uint16_t how, uint32_t value, uint8_t yes, uint8_t no)
{
	brunt_program_add(program, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | how | BPF_K), value, yes, no));
}

/* The high half decides unless it is equal; then the low one does. */
static void add_condition(struct brunt_program *program, const struct brunt_argument *argument)
{
	uint32_t high = (uint32_t)(argument->value >> 32), low = (uint32_t)argument->value;

	load(program, argument, 1);
	switch ((enum brunt_compare)argument->compare) {
	case BRUNT_IS:
		compare(program, BPF_JEQ, high, NEXT, FAILS);
		load(program, argument, 0);
		compare(program, BPF_JEQ, low, NEXT, FAILS);
		break;
	case BRUNT_IS_NOT:
		compare(program, BPF_JEQ, high, NEXT, HOLDS);
		load(program, argument, 0);
		compare(program, BPF_JEQ, low, FAILS, NEXT);
		break;
	case BRUNT_LESS:
	case BRUNT_AT_MOST:
		compare(program, BPF_JGT, high, FAILS, NEXT);
		compare(program, BPF_JEQ, high, NEXT, HOLDS);
		load(program, argument, 0);
		compare(program, argument->compare == BRUNT_LESS ? BPF_JGE : BPF_JGT, low, FAILS, NEXT);
		break;
	case BRUNT_MORE:
	case BRUNT_AT_LEAST:
		compare(program, BPF_JGT, high, HOLDS, NEXT);
		compare(program, BPF_JEQ, high, NEXT, FAILS);
		load(program, argument, 0);
		compare(program, argument->compare == BRUNT_MORE ? BPF_JGT : BPF_JGE, low, NEXT, FAILS);
		break;
	}
}

/* Gives the jumps from begin on that go to a mark the distance to the end. */
static void resolve(struct brunt_program *program, size_t begin, uint8_t mark)
{
	size_t end = program->count;

	for (size_t i = begin; i < end && i < BPF_MAXINSNS; i++) {
		struct sock_filter *at = &program->at[i];
		uint8_t distance = (uint8_t)(end - i - 1);

		if (BPF_CLASS(at->code) != BPF_JMP)
			continue;
		if (at->jt == mark)
			at->jt = distance;
		if (at->jf == mark)
			at->jf = distance;
	}
}

void brunt_program_add_rule(struct brunt_program *program, const struct brunt_filter_rule *rule, uint32_t action)
{
	size_t begin = program->count;

	for (size_t i = 0; i < rule->argument_count; i++) {
		size_t condition = program->count;

		add_condition(program, &rule->arguments[i]);
		resolve(program, condition, HOLDS);
	}
	brunt_program_add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
	resolve(program, begin, FAILS);
}
