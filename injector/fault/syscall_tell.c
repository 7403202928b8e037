/* SPDX-License-Identifier: Apache-2.0 */
/* What a syscall fault hit; and why it hit nothing: what the target called instead. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "fault/syscall.h"
#include "syscall/keep.h"

#define TOLD_MAX 3

struct text {
	char *buf;
	size_t size, used;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *text, const char *format, ...)
{
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(text->buf + text->used, text->size - text->used, format, args);
	va_end(args);
	if (size > 0)
		text->used += (size_t)size;
	if (text->used >= text->size)
		text->used = text->size - 1;
}

static void say_calls(const struct brunt_keep *keep, unsigned number, struct text *text)
{
	unsigned told = 0, more = 0;

	for (unsigned i = 0; i < brunt_call_count; i++) {
		uint64_t matched, hit;

		brunt_keep_read_call(keep, number, i, &matched, &hit);
		if (!matched)
			continue;
		if (told == TOLD_MAX)
			more++;
		else
			say(text, "%s%s %" PRIu64 " of %" PRIu64, told++ ? ", " : "", brunt_calls[i].name, hit,
			    matched);
	}
	if (more)
		say(text, " and %u more", more);
}

static void say_processes(const struct brunt_keep_counts *counts, struct text *text)
{
	for (size_t i = 0; i < counts->hurt_count && i < TOLD_MAX; i++)
		say(text, "%s%s %d (%" PRIu64 ")", i ? ", " : ", in ", counts->hurt[i].name,
		    (int)counts->hurt[i].process, counts->hurt[i].hit);
	if (counts->hurt_count > TOLD_MAX || counts->others)
		say(text, " and more");
}

void brunt_syscall_breakdown(const struct brunt_keep *keep, unsigned number, char *buf, size_t size)
{
	struct text text = { buf, size, 0 };
	struct brunt_keep_counts counts;

	buf[0] = '\0';
	brunt_keep_read(keep, number, &counts);
	if (!counts.hit)
		return;
	say_calls(keep, number, &text);
	say_processes(&counts, &text);
}

struct most {
	unsigned call;
	uint64_t count;
};

/* The two relatives that were called most. */
static void find_most(const struct brunt_keep *keep, const struct brunt_call_rule *rule, struct most ret[2])
{
	for (unsigned i = 0; i < brunt_call_count; i++) {
		const struct most one = { i, brunt_keep_calls(keep, i) };

		if (!brunt_call_set_has(&rule->relatives, i) || brunt_call_set_has(&rule->calls, i))
			continue;
		if (one.count > ret[0].count) {
			ret[1] = ret[0];
			ret[0] = one;
		} else if (one.count > ret[1].count) {
			ret[1] = one;
		}
	}
}

/* "; called fdatasync 214 times and sync 2 times" */
static void say_instead(const struct brunt_keep *keep, const struct brunt_call_rule *rule, char *buf, size_t size)
{
	struct most most[2] = { { 0 } };
	int used = 0;

	find_most(keep, rule, most);
	buf[0] = '\0';
	for (size_t i = 0; i < 2 && most[i].count && used >= 0 && (size_t)used < size; i++)
		used += snprintf(buf + used, size - (size_t)used, "%s %s %" PRIu64 " time%s", i ? " and" : "; called",
				 brunt_calls[most[i].call].name, most[i].count, most[i].count == 1 ? "" : "s");
}

/* The condition that the fewest calls can meet. */
static const char *condition_of(const struct brunt_call_rule *rule)
{
	if (rule->path_count)
		return " (path)";
	if (rule->address_count)
		return " (to)";
	if (rule->thread[0])
		return " (thread)";
	if (rule->process[0])
		return " (process)";
	if (rule->argument_count)
		return " (args)";
	return rule->leader_only ? " (follow)" : "";
}

void brunt_syscall_near_miss(const struct brunt_keep *keep, unsigned number, char *buf, size_t size)
{
	const struct brunt_call_rule *rule = brunt_keep_rule(keep, number);
	struct brunt_keep_counts counts;
	char instead[96], names[64];

	buf[0] = '\0';
	brunt_keep_read(keep, number, &counts);
	say_instead(keep, rule, instead, sizeof(instead));
	if (counts.lapsed && !counts.hit)
		(void)snprintf(buf, size, "brunt got no CPU for a whole lease, which ended the fault");
	else if (!counts.seen)
		(void)snprintf(buf, size, "never called %s%s", brunt_calls_print(&rule->calls, names, sizeof(names)),
			       instead);
	else if (!counts.matched && counts.refused)
		(void)snprintf(buf, size,
			       "may not read what %" PRIu64 " of %" PRIu64 " calls are about: the program's memory is "
			       "closed to brunt (kernel.yama.ptrace_scope, or not dumpable)",
			       counts.refused, counts.seen);
	else if (!counts.matched)
		(void)snprintf(buf, size, "saw %" PRIu64 " calls, none that fits%s%s", counts.seen, condition_of(rule),
			       instead);
	else if (!counts.hit)
		(void)snprintf(buf, size, "%" PRIu64 " calls fit, and first, every or probability let them all pass",
			       counts.matched);
}
