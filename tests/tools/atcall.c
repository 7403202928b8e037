/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs brunt and does something to one role of it at the nth stop at a system
 * call (each call has two: before and after).
 *
 *   atcall ROLE N kill PROGRAM [ARGUMENT...]     SIGKILL
 *   atcall ROLE N term PROGRAM [ARGUMENT...]     SIGTERM
 *   atcall ROLE N ERRNO PROGRAM [ARGUMENT...]    the nth call is not made and fails with that number
 *   atcall ROLE 0 count PROGRAM [ARGUMENT...]    nothing; says on stderr how many stops, and calls, there were
 *
 * Stops are counted from when the role has its name; of "main", which becomes the controller, from the first. Other
 * roles are left alone as soon as they have theirs. The exit status is the program's, 128 + the signal that killed it,
 * or 77 when this cannot be done here. At the end it says on descriptor 3, if there is one, the number of the call that
 * it was and when (CLOCK_REALTIME, ms), or "none" when the role ended before.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 64
#define FOLLOW	      (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)

enum kind { UNKNOWN, PARENT, TARGET };

struct process {
	pid_t pid;
	enum kind kind;
	bool inside; /* between the two stops of a call */
};

static struct process processes[PROCESSES_MAX];
static const char *wanted;
static unsigned long nth, stops, calls;
static long failure; /* 0: a signal */
static int sent = SIGKILL;
static bool done, fails_now, has_parent;
static long number = -1; /* of the call that it was */
static struct timespec when;

static struct process *find(pid_t pid)
{
	struct process *empty = NULL;

	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid == pid)
			return &processes[i];
		if (!processes[i].pid && !empty)
			empty = &processes[i];
	}
	if (!empty)
		exit(77);
	*empty = (struct process){ .pid = pid };
	return empty;
}

static enum kind look(pid_t pid, bool *ret_known)
{
	char path[32], comm[20] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%19s", comm) != 1)
			comm[0] = '\0';
		fclose(file);
	}
	/* A fresh holder bears the name of who forked it. */
	*ret_known = !strncmp(comm, "brunt-", 6) && !(has_parent && !strcmp(comm, "brunt-recoverer"));
	if (*ret_known && !strncmp(comm + 6, wanted, 9)) /* the kernel cuts at 15 */
		return TARGET;
	if (!*ret_known || strcmp(wanted, "holder") || strcmp(comm, "brunt-recoverer"))
		return UNKNOWN;
	has_parent = true;
	return PARENT;
}

#if defined(__x86_64__)
static bool can_fail(void)
{
	return true;
}

static long call_of(pid_t pid)
{
	struct user_regs_struct regs;

	return ptrace(PTRACE_GETREGS, pid, NULL, &regs) ? -1 : (long)regs.orig_rax;
}

static void fail(pid_t pid, bool inside)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		return;
	if (inside)
		regs.orig_rax = (unsigned long long)-1;
	else
		regs.rax = (unsigned long long)-failure;
	(void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}
#else
static bool can_fail(void)
{
	return false;
}

static long call_of(pid_t pid)
{
	(void)pid;
	return -1;
}

static void fail(pid_t pid, bool inside)
{
	(void)pid, (void)inside;
}
#endif

static bool is_entry(pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

/* True: it was killed. */
static bool at_call(struct process *process)
{
	stops++;
	calls += process->inside;
	if (fails_now && !process->inside) {
		fails_now = false;
		fail(process->pid, false);
	}
	if (done || !nth || (failure ? !process->inside || calls != nth : stops != nth))
		return false;
	number = call_of(process->pid);
	done = true;
	(void)clock_gettime(CLOCK_REALTIME, &when);
	if (!failure)
		return !kill(process->pid, sent) && sent == SIGKILL;
	if (number == SYS_exit_group)
		return false;
	fails_now = true;
	fail(process->pid, true);
	return false;
}

/* Goes on, or is let go. */
static void at_stop(struct process *process, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	bool known = false;

	if (signal == (SIGTRAP | 0x80)) {
		process->inside = is_entry(process->pid);
		if (process->kind == TARGET) {
			if (at_call(process))
				return;
		} else if (process->kind == UNKNOWN) {
			process->kind = process->inside ? UNKNOWN : look(process->pid, &known);
			if (process->kind == TARGET)
				(void)ptrace(PTRACE_SETOPTIONS, process->pid, NULL, PTRACE_O_TRACESYSGOOD);
		}
		signal = 0;
	} else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
		(void)ptrace(PTRACE_LISTEN, process->pid, NULL, NULL);
		return;
	} else if (event) {
		signal = 0;
	}
	if (known && process->kind == UNKNOWN) {
		(void)ptrace(PTRACE_DETACH, process->pid, NULL, NULL);
		process->pid = 0;
	} else {
		(void)ptrace(process->kind == PARENT ? PTRACE_CONT : PTRACE_SYSCALL, process->pid, NULL, (long)signal);
	}
}

static int run(char **argv)
{
	int status, result = -1;
	pid_t pid, child = fork();

	if (!child) {
		raise(SIGSTOP);
		close(3);
		execv(argv[0], argv);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, WUNTRACED) != child ||
	    ptrace(PTRACE_SEIZE, child, NULL, strcmp(wanted, "main") != 0 ? FOLLOW : PTRACE_O_TRACESYSGOOD))
		return 77;
	if (!strcmp(wanted, "main"))
		find(child)->kind = TARGET;
	(void)kill(child, SIGCONT);
	while (result < 0 && (pid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status)) {
			at_stop(find(pid), status);
			continue;
		}
		if (pid == child)
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		find(pid)->pid = 0;
	}
	return result;
}

int main(int argc, char **argv)
{
	int result;

	if (argc < 5) {
		fputs("usage: atcall ROLE N kill|term|ERRNO|count PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	wanted = argv[1];
	nth = strtoul(argv[2], NULL, 10);
	failure = strtol(argv[3], NULL, 10); /* words are 0 */
	sent = strcmp(argv[3], "term") != 0 ? SIGKILL : SIGTERM;
	if (failure && !can_fail())
		return 77;
	result = run(argv + 4);
	if (!strcmp(argv[3], "count"))
		fprintf(stderr, "%lu %lu\n", stops, calls);
	if (done)
		dprintf(3, "%ld %lld\n", number, when.tv_sec * 1000LL + when.tv_nsec / 1000000);
	else
		dprintf(3, "none\n");
	return result;
}
