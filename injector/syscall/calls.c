/* SPDX-License-Identifier: Apache-2.0 */
#include "syscall/calls.h"
#include "base/names.h"
#include "base/text.h"

#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/param.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 1024 /* beyond all numbers of the architectures that brunt knows */

static const struct class
{
	const char *name;
	uint32_t bit;
} classes[] = {
	{ "%file", BRUNT_CALLS_FILE },	   { "%desc", BRUNT_CALLS_DESC },	{ "%network", BRUNT_CALLS_NETWORK },
	{ "%memory", BRUNT_CALLS_MEMORY }, { "%process", BRUNT_CALLS_PROCESS }, { "%signal", BRUNT_CALLS_SIGNAL },
	{ "%ipc", BRUNT_CALLS_IPC },	   { "%sync", BRUNT_CALLS_SYNC },	{ "%creds", BRUNT_CALLS_CREDS },
	{ "%clock", BRUNT_CALLS_CLOCK },
};

/* What the C library calls it, and which call it makes of that: too far apart for a guess by letters, or a wrong one. */
static const struct {
	const char *said, *meant;
} library[] = {
	{ "recv", "recvfrom" },
	{ "send", "sendto" },
	{ "wait", "wait4" },
	{ "waitpid", "wait4" },
	{ "pread", "pread64" },
	{ "pwrite", "pwrite64" },
	{ "fstatat", "newfstatat" },
	{ "sigaction", "rt_sigaction" },
	{ "sigprocmask", "rt_sigprocmask" },
	{ "umount", "umount2" },
	{ "sleep", "clock_nanosleep" },
	{ "usleep", "clock_nanosleep" },
	{ "readdir", "getdents64" },
	{ "posix_fallocate", "fallocate" },
	{ "posix_fadvise", "fadvise64" },
	{ "eventfd_read", "read" },
	{ "sem_wait", "futex" },
	{ "fopen", "openat" },
	{ "remove", "unlink" },
	{ "malloc", "mmap" },
	{ "sbrk", "brk" },
};

/* Of this machine's own architecture, filled once. */
static int16_t numbers[BRUNT_CALLS_MAX]; /* by index; -1: none */
static int16_t indexes[NUMBER_MAX];	 /* by number; -1: none */

uint32_t brunt_call_arch(void)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
	return AUDIT_ARCH_AARCH64;
#else
	return 0;
#endif
}

/* libseccomp has numbers below zero, of its own making, for what the architecture does not have. */
static int resolve(const char *name, uint32_t arch)
{
	int number = arch ? seccomp_syscall_resolve_name_arch(arch, name) : -1;

	return number >= 0 && number < NUMBER_MAX ? number : -1;
}

static void fill(void)
{
	static bool filled;

	if (filled)
		return;
	memset(indexes, 0xff, sizeof(indexes));
	for (size_t i = 0; i < brunt_call_count; i++) {
		int number = resolve(brunt_calls[i].name, brunt_call_arch());

		numbers[i] = (int16_t)number;
		if (number >= 0)
			indexes[number] = (int16_t)i;
	}
	filled = true;
}

const struct brunt_call *brunt_call_find(const char *name)
{
	for (size_t i = 0; i < brunt_call_count; i++)
		if (strcmp(brunt_calls[i].name, name) == 0)
			return &brunt_calls[i];
	return NULL;
}

unsigned brunt_call_index(const struct brunt_call *call)
{
	return (unsigned)(call - brunt_calls);
}

int brunt_call_number(const struct brunt_call *call, uint32_t arch)
{
	if (arch != brunt_call_arch())
		return resolve(call->name, arch);
	fill();
	return numbers[brunt_call_index(call)];
}

int brunt_call_index_of(int number)
{
	fill();
	return number >= 0 && number < NUMBER_MAX ? indexes[number] : -1;
}

static const char *arch_name(uint32_t arch)
{
	return arch == AUDIT_ARCH_X86_64 ? "x86-64" : arch == AUDIT_ARCH_AARCH64 ? "arm64" : "this architecture";
}

/* ---- words ---- */

/* Adds what has one of the bits (~0: everything). How many. */
static unsigned add_class(uint32_t arch, uint32_t bits, struct brunt_call_set *set)
{
	unsigned added = 0;

	for (size_t i = 0; i < brunt_call_count; i++) {
		const struct brunt_call *call = &brunt_calls[i];

		if ((bits != UINT32_MAX && !(call->classes & bits)) || !brunt_call_may_fail(call) ||
		    brunt_call_number(call, arch) < 0)
			continue;
		brunt_call_set_add(set, (unsigned)i);
		added++;
	}
	return added;
}

static int fail_class(const char *word, struct brunt_error *err)
{
	char shown[BRUNT_QUOTE_SIZE], known[128] = "";

	for (size_t i = 0; i < BRUNT_COUNT(classes); i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s", i ? ", " : "", classes[i].name);
	return brunt_fail(err, EINVAL, "no class of calls is called '%s'; there are %s", brunt_text_quote(word, shown),
			  known);
}

static const char *suggest(const char *word)
{
	const char *names[BRUNT_CALLS_MAX + BRUNT_COUNT(classes) + 2];
	size_t count = 0;

	for (size_t i = 0; i < BRUNT_COUNT(library); i++)
		if (strcmp(library[i].said, word) == 0)
			return library[i].meant;
	for (size_t i = 0; i < BRUNT_COUNT(classes); i++)
		if (strcmp(classes[i].name + 1, word) == 0)
			return classes[i].name;
	for (size_t i = 0; i < brunt_call_count; i++)
		if (brunt_call_may_fail(&brunt_calls[i]))
			names[count++] = brunt_calls[i].name;
	names[count++] = "all";
	names[count] = NULL;
	return brunt_suggest(word, names);
}

static int fail_name(const char *word, struct brunt_error *err)
{
	const char *meant = suggest(word);
	char shown[BRUNT_QUOTE_SIZE];

	brunt_text_quote(word, shown);
	if (meant)
		return brunt_fail(err, EINVAL, "no system call is called '%s'; did you mean '%s'?", shown, meant);
	return brunt_fail(err, EINVAL, "no system call is called '%s'; syscalls(2) lists them", shown);
}

/* Why a call must never be touched: the table's comment says it at length. */
static int fail_refused(const struct brunt_call *call, struct brunt_error *err)
{
	if (call->flags & BRUNT_CALL_NORETURN)
		return brunt_fail(err, EINVAL, "'%s' never returns, so nothing would be told of its failure",
				  call->name);
	if (strcmp(call->name, "seccomp") == 0)
		return brunt_fail(err, EINVAL,
				  "'seccomp' is left alone: a program whose sandbox fails may go on without one");
	return brunt_fail(err, EINVAL, "'%s' is left alone: the kernel calls it, not the program", call->name);
}

/* Names what programs call there instead, when there is something. */
static int fail_arch(const struct brunt_call *call, uint32_t arch, struct brunt_error *err)
{
	for (size_t i = 0; i < brunt_call_count && call->family; i++)
		if (brunt_calls[i].family == call->family && brunt_call_number(&brunt_calls[i], arch) >= 0)
			return brunt_fail(err, EINVAL, "there is no '%s' on %s; '%s' is what programs call there",
					  call->name, arch_name(arch), brunt_calls[i].name);
	return brunt_fail(err, EINVAL, "there is no '%s' on %s", call->name, arch_name(arch));
}

static int select_word(uint32_t arch, const char *word, struct brunt_call_set *set, struct brunt_error *err)
{
	const struct brunt_call *call;

	if (strcmp(word, "all") == 0) {
		add_class(arch, UINT32_MAX, set);
		return 0;
	}
	if (word[0] == '%') {
		for (size_t i = 0; i < BRUNT_COUNT(classes); i++) {
			if (strcmp(classes[i].name, word) != 0)
				continue;
			if (add_class(arch, classes[i].bit, set) == 0)
				return brunt_fail(err, EINVAL, "none of '%s' exists on %s", word, arch_name(arch));
			return 0;
		}
		return fail_class(word, err);
	}
	call = brunt_call_find(word);
	if (!call)
		return fail_name(word, err);
	if (!brunt_call_may_fail(call))
		return fail_refused(call, err);
	if (brunt_call_number(call, arch) < 0)
		return fail_arch(call, arch, err);
	brunt_call_set_add(set, brunt_call_index(call));
	return 0;
}

int brunt_calls_select_on(uint32_t arch, const struct brunt_list *words, struct brunt_call_set *ret,
			  struct brunt_error *err)
{
	struct brunt_call_set set = { 0 };

	if (!arch)
		return brunt_fail(err, ENOTSUP, "brunt knows the system calls of x86-64 and arm64 only");
	if (words->count == 0)
		return brunt_fail(err, EINVAL, "no system call is named; write for example \"%%sync\"");
	BRUNT_FOREACH (const char *, word, *words) {
		int r = select_word(arch, *word, &set, err);

		if (r < 0)
			return r;
	}
	*ret = set;
	return 0;
}

int brunt_calls_select(const struct brunt_list *words, struct brunt_call_set *ret, struct brunt_error *err)
{
	return brunt_calls_select_on(brunt_call_arch(), words, ret, err);
}

/* ---- sets ---- */

void brunt_calls_add_families(struct brunt_call_set *set)
{
	bool wanted[UINT8_MAX + 1] = { false };

	for (size_t i = 0; i < brunt_call_count; i++)
		if (brunt_call_set_has(set, (unsigned)i))
			wanted[brunt_calls[i].family] = true;
	for (size_t i = 0; i < brunt_call_count; i++) {
		const struct brunt_call *call = &brunt_calls[i];

		if (call->family && wanted[call->family] && brunt_call_may_fail(call) &&
		    brunt_call_number(call, brunt_call_arch()) >= 0)
			brunt_call_set_add(set, (unsigned)i);
	}
}

const char *brunt_calls_print(const struct brunt_call_set *set, char *buf, size_t size)
{
	unsigned count = 0, shown = 0, some;
	size_t used = 0;

	for (size_t i = 0; i < brunt_call_count; i++)
		count += brunt_call_set_has(set, (unsigned)i);
	/* Up to four are all named: "and 2 more" saves nobody anything. */
	some = count <= 4 ? count : 2;
	snprintf(buf, size, "%s", count ? "" : "none");
	for (size_t i = 0; i < brunt_call_count && shown < some && used < size; i++) {
		const char *before = shown == 0 ? "" : shown + 1 == count ? " and " : ", ";

		if (!brunt_call_set_has(set, (unsigned)i))
			continue;
		used += (size_t)snprintf(buf + used, size - used, "%s%s", before, brunt_calls[i].name);
		shown++;
	}
	if (some < count && used < size)
		snprintf(buf + used, size - used, " and %u more", count - some);
	return buf;
}

void brunt_call_each_errno(const struct brunt_call *call, void (*cb)(void *user, int code), void *user)
{
	const char *at = call->errnos;

	while (*at) {
		size_t length = strcspn(at, " ");
		char name[32];
		int code;

		snprintf(name, sizeof(name), "%.*s", (int)length, at);
		if (brunt_errno_parse(name, &code, NULL) == 0)
			cb(user, code);
		at += length + strspn(at + length, " ");
	}
}
