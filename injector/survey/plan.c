/* SPDX-License-Identifier: Apache-2.0 */
/* Which failures are worth a run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/memory.h"
#include "survey/survey.h"

/*
 * Calls whose failing tells nothing of the program, or something that is not so. The list is in docs/survey.md, too.
 */
static const struct {
	const char *name, *why;
} left_out[] = {
	{ "close", "Linux closes the descriptor even where close() fails; a call that does not happen leaves it open" },
	{ "brk", "has no error: it returns the old end, and the C library takes an errno for an address" },
	{ "munmap", "fails only for arguments that are wrong" },
	{ "futex", "belongs to the C library, which ends the program" },
	{ "rt_sigaction", "fails only for arguments that are wrong" },
	{ "rt_sigprocmask", "fails only for arguments that are wrong" },
	{ "sigaltstack", "belongs to the start of a language's runtime" },
	{ "arch_prctl", "belongs to the C library's start" },
	{ "set_tid_address", "belongs to the C library's start" },
	{ "set_robust_list", "belongs to the C library's start" },
	{ "rseq", "belongs to the C library's start" },
	{ "sched_yield", "never fails" },
};

const char *brunt_survey_left_out(const struct brunt_call *call)
{
	for (size_t i = 0; i < BRUNT_COUNT(left_out); i++)
		if (!strcmp(call->name, left_out[i].name))
			return left_out[i].why;
	return NULL;
}

bool brunt_survey_is_once(int code)
{
	return code == EINTR || code == EAGAIN;
}

bool brunt_survey_spares_stderr(const struct brunt_call *call)
{
	static const char *const names[] = { "write",	 "writev", "pwrite64", "pwritev",
					     "pwritev2", "sendto", "sendmsg",  "sendfile" };

	for (size_t i = 0; i < BRUNT_COUNT(names); i++)
		if (!strcmp(call->name, names[i]))
			return true;
	return false;
}

struct list {
	const struct brunt_survey_options *options;
	struct brunt_survey_pair *items;
	size_t count, room;
	unsigned call;
	bool failed;
};

static void add(void *user, int code)
{
	struct list *list = user;
	struct brunt_survey_pair *pair;

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct brunt_survey_pair *items = realloc(list->items, room * sizeof(*items));

		if (!items) {
			list->failed = true;
			return;
		}
		list->items = items;
		list->room = room;
	}
	pair = &list->items[list->count++];
	*pair = (struct brunt_survey_pair){ .call = list->call, .code = code, .first = 1 };
	if (list->options->at)
		pair->first = pair->last = list->options->at;
	else if (brunt_survey_is_once(code))
		pair->last = 1;
}

int brunt_survey_plan(const struct brunt_survey_options *options, const struct brunt_survey_record *record,
		      struct brunt_survey_pair **ret, size_t *ret_count)
{
	struct list list = { .options = options };

	for (list.call = 0; list.call < brunt_call_count; list.call++) {
		if (!record->counts[list.call])
			continue;
		if (!options->errno_count)
			brunt_call_each_errno(&brunt_calls[list.call], add, &list);
		for (size_t i = 0; i < options->errno_count; i++)
			add(&list, options->errnos[i]);
	}
	if (list.failed) {
		free(list.items);
		return -ENOMEM;
	}
	*ret = list.items;
	*ret_count = list.count;
	return 0;
}
