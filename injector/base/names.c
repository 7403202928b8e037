/* SPDX-License-Identifier: Apache-2.0 */
#include "base/names.h"
#include "base/text.h"

#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/param.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SIGNAL_MAX 64	/* the kernel's _NSIG */
#define ERRNO_MAX  4095 /* the kernel's MAX_ERRNO: beyond, a return value is no error */

struct name {
	const char *name;
	int value;
};

/* A row, spelled once. */
#define N(code)                                                                                                        \
	{                                                                                                              \
#code, code                                                                                            \
	}

static const struct name signals[] = {
	N(SIGHUP),
	N(SIGINT),
	N(SIGQUIT),
	N(SIGILL),
	N(SIGTRAP),
	N(SIGABRT),
	N(SIGBUS),
	N(SIGFPE),
	N(SIGKILL),
	N(SIGUSR1),
	N(SIGSEGV),
	N(SIGUSR2),
	N(SIGPIPE),
	N(SIGALRM),
	N(SIGTERM),
	N(SIGSTKFLT),
	N(SIGCHLD),
	N(SIGCONT),
	N(SIGSTOP),
	N(SIGTSTP),
	N(SIGTTIN),
	N(SIGTTOU),
	N(SIGURG),
	N(SIGXCPU),
	N(SIGXFSZ),
	N(SIGVTALRM),
	N(SIGPROF),
	N(SIGWINCH),
	N(SIGIO),
	N(SIGPWR),
	N(SIGSYS),
	/* Real-time signals as the kernel numbers them; 32 and 33 belong to the C library's threads. */
	{ "SIGRTMIN", 34 },
	{ "SIGRTMIN+1", 35 },
	{ "SIGRTMIN+2", 36 },
	{ "SIGRTMIN+3", 37 },
	{ "SIGRTMIN+4", 38 },
	{ "SIGRTMIN+5", 39 },
	{ "SIGRTMIN+6", 40 },
	{ "SIGRTMIN+7", 41 },
	{ "SIGRTMIN+8", 42 },
	{ "SIGRTMIN+9", 43 },
	{ "SIGRTMIN+10", 44 },
	{ "SIGRTMIN+11", 45 },
	{ "SIGRTMIN+12", 46 },
	{ "SIGRTMIN+13", 47 },
	{ "SIGRTMIN+14", 48 },
	{ "SIGRTMIN+15", 49 },
	{ "SIGRTMAX-14", 50 },
	{ "SIGRTMAX-13", 51 },
	{ "SIGRTMAX-12", 52 },
	{ "SIGRTMAX-11", 53 },
	{ "SIGRTMAX-10", 54 },
	{ "SIGRTMAX-9", 55 },
	{ "SIGRTMAX-8", 56 },
	{ "SIGRTMAX-7", 57 },
	{ "SIGRTMAX-6", 58 },
	{ "SIGRTMAX-5", 59 },
	{ "SIGRTMAX-4", 60 },
	{ "SIGRTMAX-3", 61 },
	{ "SIGRTMAX-2", 62 },
	{ "SIGRTMAX-1", 63 },
	{ "SIGRTMAX", 64 },
};

static const struct name errnos[] = {
	N(EPERM),
	N(ENOENT),
	N(ESRCH),
	N(EINTR),
	N(EIO),
	N(ENXIO),
	N(E2BIG),
	N(ENOEXEC),
	N(EBADF),
	N(ECHILD),
	N(EAGAIN),
	N(ENOMEM),
	N(EACCES),
	N(EFAULT),
	N(ENOTBLK),
	N(EBUSY),
	N(EEXIST),
	N(EXDEV),
	N(ENODEV),
	N(ENOTDIR),
	N(EISDIR),
	N(EINVAL),
	N(ENFILE),
	N(EMFILE),
	N(ENOTTY),
	N(ETXTBSY),
	N(EFBIG),
	N(ENOSPC),
	N(ESPIPE),
	N(EROFS),
	N(EMLINK),
	N(EPIPE),
	N(EDOM),
	N(ERANGE),
	N(EDEADLK),
	N(ENAMETOOLONG),
	N(ENOLCK),
	N(ENOSYS),
	N(ENOTEMPTY),
	N(ELOOP),
	N(ENOMSG),
	N(EIDRM),
	N(ECHRNG),
	N(EL2NSYNC),
	N(EL3HLT),
	N(EL3RST),
	N(ELNRNG),
	N(EUNATCH),
	N(ENOCSI),
	N(EL2HLT),
	N(EBADE),
	N(EBADR),
	N(EXFULL),
	N(ENOANO),
	N(EBADRQC),
	N(EBADSLT),
	N(EBFONT),
	N(ENOSTR),
	N(ENODATA),
	N(ETIME),
	N(ENOSR),
	N(ENONET),
	N(ENOPKG),
	N(EREMOTE),
	N(ENOLINK),
	N(EADV),
	N(ESRMNT),
	N(ECOMM),
	N(EPROTO),
	N(EMULTIHOP),
	N(EDOTDOT),
	N(EBADMSG),
	N(EOVERFLOW),
	N(ENOTUNIQ),
	N(EBADFD),
	N(EREMCHG),
	N(ELIBACC),
	N(ELIBBAD),
	N(ELIBSCN),
	N(ELIBMAX),
	N(ELIBEXEC),
	N(EILSEQ),
	N(ERESTART),
	N(ESTRPIPE),
	N(EUSERS),
	N(ENOTSOCK),
	N(EDESTADDRREQ),
	N(EMSGSIZE),
	N(EPROTOTYPE),
	N(ENOPROTOOPT),
	N(EPROTONOSUPPORT),
	N(ESOCKTNOSUPPORT),
	N(EOPNOTSUPP),
	N(EPFNOSUPPORT),
	N(EAFNOSUPPORT),
	N(EADDRINUSE),
	N(EADDRNOTAVAIL),
	N(ENETDOWN),
	N(ENETUNREACH),
	N(ENETRESET),
	N(ECONNABORTED),
	N(ECONNRESET),
	N(ENOBUFS),
	N(EISCONN),
	N(ENOTCONN),
	N(ESHUTDOWN),
	N(ETOOMANYREFS),
	N(ETIMEDOUT),
	N(ECONNREFUSED),
	N(EHOSTDOWN),
	N(EHOSTUNREACH),
	N(EALREADY),
	N(EINPROGRESS),
	N(ESTALE),
	N(EUCLEAN),
	N(ENOTNAM),
	N(ENAVAIL),
	N(EISNAM),
	N(EREMOTEIO),
	N(EDQUOT),
	N(ENOMEDIUM),
	N(EMEDIUMTYPE),
	N(ECANCELED),
	N(ENOKEY),
	N(EKEYEXPIRED),
	N(EKEYREVOKED),
	N(EKEYREJECTED),
	N(EOWNERDEAD),
	N(ENOTRECOVERABLE),
	N(ERFKILL),
	N(EHWPOISON),
};

/* Second names; never printed. */
static const struct name signal_aliases[] = { N(SIGPOLL), N(SIGIOT), N(SIGCLD) };
static const struct name errno_aliases[] = {
	N(EDEADLOCK),
	N(ENOTSUP),
	N(EWOULDBLOCK),
};

static const char *name_of(const struct name *names, size_t count, int value)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].value == value)
			return names[i].name;
	return NULL;
}

static int value_of(const struct name *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].value;
	return 0;
}

/* A number without sign or leading zero; 0 when it is none, -1 when it is one beyond max. */
static int read_number(const char *text, int max)
{
	char *end;
	long number;

	if (text[0] < '1' || text[0] > '9')
		return 0;
	errno = 0;
	number = strtol(text, &end, 10);
	if (*end)
		return 0;
	return errno || number > max ? -1 : (int)number;
}

const char *brunt_signal_name(int signal)
{
	return name_of(signals, BRUNT_COUNT(signals), signal);
}

const char *brunt_errno_name(int code)
{
	return name_of(errnos, BRUNT_COUNT(errnos), code);
}

const char *const *brunt_signal_names(void)
{
	static const char *names[BRUNT_COUNT(signals) + 1];

	for (size_t i = 0; i < BRUNT_COUNT(signals); i++)
		names[i] = signals[i].name;
	return names;
}

const char *const *brunt_errno_names(void)
{
	static const char *names[BRUNT_COUNT(errnos) + 1];

	for (size_t i = 0; i < BRUNT_COUNT(errnos); i++)
		names[i] = errnos[i].name;
	return names;
}

/* By the name with or without "SIG"; 0 when there is none. */
static int find_signal(const char *text)
{
	char name[32] = "SIG";
	int value;

	if (strlen(text) >= sizeof(name) - strlen("SIG"))
		return 0;
	strcpy(name + (strncmp(text, "SIG", 3) == 0 ? 0 : 3), text);
	value = value_of(signals, BRUNT_COUNT(signals), name);
	return value ? value : value_of(signal_aliases, BRUNT_COUNT(signal_aliases), name);
}

static const char *suggest_signal(const char *text)
{
	const char *meant = brunt_suggest(text, brunt_signal_names());
	char name[32] = "SIG";

	if (meant || strlen(text) == 0 || strlen(text) >= sizeof(name) - strlen("SIG"))
		return meant;
	strcpy(name + 3, text);
	return brunt_suggest(name, brunt_signal_names());
}

int brunt_signal_parse(const char *text, int *ret, struct brunt_error *err)
{
	int value = read_number(text, SIGNAL_MAX);
	char shown[BRUNT_QUOTE_SIZE];
	const char *meant;

	if (value == 0)
		value = find_signal(text);
	if (value > 0) {
		*ret = value;
		return 0;
	}
	brunt_text_quote(text, shown);
	if (value < 0)
		return brunt_fail(err, EINVAL, "no signal has the number '%s'; they go from 1 to %d", shown,
				  SIGNAL_MAX);
	meant = suggest_signal(text);
	if (meant)
		return brunt_fail(err, EINVAL, "no signal is called '%s'; did you mean '%s'?", shown, meant);
	return brunt_fail(err, EINVAL, "no signal is called '%s'; write for example \"SIGTERM\"", shown);
}

int brunt_errno_parse(const char *text, int *ret, struct brunt_error *err)
{
	int value = read_number(text, ERRNO_MAX);
	char shown[BRUNT_QUOTE_SIZE];
	const char *meant;

	if (value == 0)
		value = value_of(errnos, BRUNT_COUNT(errnos), text);
	if (value == 0)
		value = value_of(errno_aliases, BRUNT_COUNT(errno_aliases), text);
	if (value > 0) {
		*ret = value;
		return 0;
	}
	brunt_text_quote(text, shown);
	if (value < 0)
		return brunt_fail(err, EINVAL, "no errno has the number '%s'; they go from 1 to %d", shown, ERRNO_MAX);
	meant = brunt_suggest(text, brunt_errno_names());
	if (meant)
		return brunt_fail(err, EINVAL, "no errno is called '%s'; did you mean '%s'?", shown, meant);
	return brunt_fail(err, EINVAL, "no errno is called '%s'; write for example \"ECONNREFUSED\"", shown);
}
