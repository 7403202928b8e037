/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens in a new process before it becomes a service or a command: its
 * cgroup first (nothing that it does may be counted elsewhere), then its user.
 * A failure is told through a pipe that exec closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "hold/launcher.h"

#define ENVIRONMENT_MAX 512
#define WORD_FD		3

/* Who the child becomes. */
struct account {
	uid_t uid;
	gid_t gid;
	char name[64];
	char home[256];
};

static void say(const struct child_word *word)
{
	ssize_t written;

	do
		written = write(WORD_FD, word, sizeof(*word));
	while (written < 0 && errno == EINTR);
}

static void give_up(int code, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
static void give_up(int code, const char *format, ...)
{
	struct child_word word = { .code = code };
	va_list args;

	va_start(args, format);
	(void)vsnprintf(word.text, sizeof(word.text), format, args);
	va_end(args);
	say(&word);
	_exit(127);
}

/* /proc is the one of the outer namespace: its "self" is our pid there. */
static void introduce(void)
{
	struct child_word word = { 0 };
	struct brunt_process process = { .pidfd = -1 };
	char link[32];
	ssize_t size = readlink("/proc/self", link, sizeof(link) - 1);

	if (size > 0) {
		link[size] = '\0';
		word.pid = (pid_t)strtol(link, NULL, 10);
		if (brunt_process_identify("/proc", word.pid, false, &process, NULL) == 0)
			word.start = process.start;
	}
	say(&word);
}

static void copy_account(const struct passwd *entry, struct account *ret)
{
	ret->uid = entry->pw_uid;
	ret->gid = entry->pw_gid;
	(void)snprintf(ret->name, sizeof(ret->name), "%s", entry->pw_name);
	(void)snprintf(ret->home, sizeof(ret->home), "%s", entry->pw_dir);
}

static void find_account(const struct child_spec *spec, struct account *ret)
{
	const struct brunt_identity *identity = &spec->setup->identity;
	const struct passwd *entry;
	char *end;
	unsigned long number;

	if (!spec->user) {
		ret->uid = identity->uid;
		ret->gid = identity->gid;
		(void)snprintf(ret->name, sizeof(ret->name), "%s", identity->name);
		(void)snprintf(ret->home, sizeof(ret->home), "%s", identity->home);
		return;
	}
	entry = getpwnam(spec->user);
	if (entry) {
		copy_account(entry, ret);
		return;
	}
	errno = 0;
	number = strtoul(spec->user, &end, 10);
	if (errno || end == spec->user || *end || spec->user[0] < '0' || spec->user[0] > '9' || number >= (uid_t)-1)
		give_up(ENOENT, "there is no user '%.64s'", spec->user);
	entry = getpwuid((uid_t)number);
	if (entry) {
		copy_account(entry, ret);
		return;
	}
	ret->uid = (uid_t)number;
	ret->gid = (gid_t)number;
	(void)snprintf(ret->name, sizeof(ret->name), "%lu", number);
	(void)snprintf(ret->home, sizeof(ret->home), "/");
}

static void enter_cgroup(const char *cgroup)
{
	char path[512];
	BRUNT_AUTO_CLOSE int fd = -1;

	if (!*cgroup)
		return;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		give_up(errno, "cannot enter the cgroup '%.120s': %s", cgroup, strerror(errno));
}

/* The launcher's descriptors end here: 0 is /dev/null, 1 and 2 the output, 3 the word. */
static void arrange_descriptors(const struct child_spec *spec)
{
	int word = spec->word, output = spec->output, null;

	/* Out of the way of 0..3 first, so that no dup2 overwrites what is still needed. */
	word = fcntl(word, F_DUPFD_CLOEXEC, 10);
	output = fcntl(output, F_DUPFD_CLOEXEC, 10);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (word < 0 || output < 0 || null < 0 || dup3(word, WORD_FD, O_CLOEXEC) < 0)
		_exit(126);
	if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		give_up(errno, "cannot arrange descriptors: %s", strerror(errno));
	/* Older kernels than 5.9 have no close_range: there close-on-exec, which all of ours have, does it. */
	(void)syscall(SYS_close_range, WORD_FD + 1, ~0u, 0);
}

static void reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL); /* refused for SIGKILL, SIGSTOP and the C library's own */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void drop(const struct child_spec *spec, const struct account *account)
{
	uid_t real, effective, saved;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		give_up(errno, "cannot set no_new_privs: %s", strerror(errno));
	if (!spec->setup->identity.privileged) {
		if (account->uid != geteuid())
			give_up(EPERM, "brunt runs as '%s' and cannot become '%s'; run it as root",
				spec->setup->identity.name, account->name);
		return;
	}
	/* initgroups asks by name; a number without an account has no groups but its own. */
	if ((initgroups(account->name, account->gid) < 0 && setgroups(1, &account->gid) < 0) ||
	    setresgid(account->gid, account->gid, account->gid) < 0 ||
	    setresuid(account->uid, account->uid, account->uid) < 0)
		give_up(errno, "cannot become user '%s': %s", account->name, strerror(errno));
	if (getresuid(&real, &effective, &saved) < 0 || real != account->uid || effective != account->uid ||
	    saved != account->uid)
		give_up(EPERM, "did not become user '%s'", account->name);
}

/* ---- environment ---- */

struct environment {
	char *entries[ENVIRONMENT_MAX + 1];
	size_t count;
};

/* Sets or replaces; no memory or no room: gives up. */
static void put(struct environment *environment, const char *key, const char *value)
{
	size_t key_size = strlen(key);
	char *entry;
	size_t i;

	if (asprintf(&entry, "%s=%s", key, value) < 0)
		give_up(ENOMEM, "out of memory");
	for (i = 0; i < environment->count; i++) {
		if (strncmp(environment->entries[i], key, key_size) == 0 && environment->entries[i][key_size] == '=')
			break;
	}
	if (i == ENVIRONMENT_MAX)
		give_up(E2BIG, "the environment has more than %d variables", ENVIRONMENT_MAX);
	environment->entries[i] = entry;
	if (i == environment->count)
		environment->count++;
}

static bool path_has(const char *path, const char *dir)
{
	size_t size = strlen(dir);

	for (const char *at = path; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
		if (strncmp(at, dir, size) == 0 && (at[size] == ':' || at[size] == '\0'))
			return true;
	}
	return false;
}

/* Servers live in sbin, which ordinary users may not have in PATH. */
static void put_path(struct environment *environment)
{
	static const char *const system_dirs[] = { "/usr/local/bin",  "/usr/bin",  "/bin",
						   "/usr/local/sbin", "/usr/sbin", "/sbin" };
	const char *given = getenv("PATH");
	char path[8192];
	size_t size;

	size = (size_t)snprintf(path, sizeof(path), "%s", given ? given : "");
	if (size >= sizeof(path))
		size = (size_t)snprintf(path, sizeof(path), "%s", system_dirs[0]);
	for (size_t i = 0; i < BRUNT_COUNT(system_dirs); i++) {
		if (path_has(path, system_dirs[i]) || size + strlen(system_dirs[i]) + 2 > sizeof(path))
			continue;
		size += (size_t)snprintf(path + size, sizeof(path) - size, "%s%s", size ? ":" : "", system_dirs[i]);
	}
	put(environment, "PATH", path);
}

static void make_environment(const struct child_spec *spec, const struct account *account, struct environment *ret)
{
	static const char *const kept[] = { "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ" };

	put_path(ret);
	put(ret, "HOME", account->home);
	put(ret, "USER", account->name);
	put(ret, "LOGNAME", account->name);
	put(ret, "SHELL", "/bin/sh");
	for (size_t i = 0; i < BRUNT_COUNT(kept); i++) {
		if (getenv(kept[i]))
			put(ret, kept[i], getenv(kept[i]));
	}
	put(ret, "BRUNT_RUN", spec->setup->shared->run);
	put(ret, "BRUNT_DIR", spec->setup->run_dir);
	put(ret, "BRUNT_PLAN_DIR", spec->setup->plan->dir);
	if (spec->env) {
		BRUNT_FOREACH (const struct brunt_pair, pair, *spec->env)
			put(ret, pair->key, pair->value);
	}
	ret->entries[ret->count] = NULL;
}

/* A word of the plan as it may be told: redacted before it is cut, since half a secret is not known as one. */
static const char *shown(const struct child_spec *spec, const char *text)
{
	char *copy = strdup(text);

	brunt_plan_redact(spec->setup->plan, copy);
	return copy ? copy : "?";
}

static const char *reason(int code)
{
	switch (code) {
	case ENOENT:
		return "no such file";
	case EACCES:
		return "permission denied; is it executable, and may the user reach it?";
	default:
		return strerror(code);
	}
}

static void execute(const struct child_spec *spec)
{
	const char **argv = calloc(spec->run_count + 3, sizeof(*argv));
	const char *program = spec->run_count == 1 ? "/bin/sh" : spec->run[0];
	size_t count = 0;
	int code;

	if (!argv)
		give_up(ENOMEM, "out of memory");
	if (spec->run_count == 1) {
		argv[count++] = program;
		argv[count++] = "-c";
	}
	memcpy(argv + count, spec->run, spec->run_count * sizeof(*argv));
	/* exec copies the strings; that its parameter is not const is history (execvp(3p), rationale). */
	(void)execvp(program, (char *const *)argv);
	code = errno;
	give_up(code, "cannot run '%.100s': %s", shown(spec, program), reason(code));
}

void launcher_child(const struct child_spec *spec)
{
	struct account account = { 0 };
	static struct environment environment;
	bool arrived;

	arrange_descriptors(spec);
	reset_signals();
	(void)umask(022);
	(void)setsid();
	introduce();
	enter_cgroup(spec->cgroup);
	find_account(spec, &account);
	make_environment(spec, &account, &environment);

	/* A folder below one that only root may enter is reached before, one that only the user may enter after. */
	arrived = chdir(spec->cwd) == 0;
	drop(spec, &account);
	if (!arrived && chdir(spec->cwd) < 0)
		give_up(errno, "cannot enter the folder '%.120s': %s", spec->cwd, strerror(errno));

	environ = environment.entries;
	execute(spec);
	_exit(127);
}
