/* SPDX-License-Identifier: Apache-2.0 */
/* brunt stop: ends a run in good order, and waits until it has. */
#include "cli/cli.h"

#include "cli/runs.h"

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "brunt/units.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE	2
#define EXIT_ERROR	5
#define EXIT_RESIDUE	6
#define EXIT_UNABLE	9
#define CONTROLLER_WAIT (10 * 60 * BRUNT_S) /* `finally` steps take their time */
#define REST_WAIT	(20 * BRUNT_S)

static const char usage_text[] =
	"usage: brunt stop [RUN]\n"
	"\n"
	"Ends a run as Ctrl-C would: everything is reverted, `finally` runs. RUN (or the beginning of\n"
	"its id, as in `brunt status`) is needed when there are several.\n"
	"\n"
	"  --help\n";

struct found {
	const char *wanted; /* NULL: any */
	size_t count;
	char path[256];
	struct brunt_ledger_head head;
	char list[1024];
};

static int find(const struct brunt_ledger_view *view, void *user)
{
	struct found *found = user;
	size_t used = strlen(found->list);

	if (run_state_of(view) == RUN_DEAD ||
	    (found->wanted && strncmp(view->head.run, found->wanted, strlen(found->wanted))))
		return 0;
	found->count++;
	snprintf(found->path, sizeof(found->path), "%s", view->path);
	found->head = view->head;
	snprintf(found->list + used, sizeof(found->list) - used, "  %s  %s\n", view->head.run, view->head.plan);
	return 0;
}

/* -1 and errno when it cannot be opened or is not the controller any more. */
static int open_controller(const struct brunt_ledger_head *head)
{
	BRUNT_AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_open, head->controller, 0);
	struct brunt_process process = { .pid = head->controller, .start = head->controller_start, .pidfd = -1 };

	if (fd < 0)
		return -1;
	/* Opened first, compared then: what the descriptor names cannot change any more. */
	if (!brunt_process_alive(&process)) {
		errno = ESRCH;
		return -1;
	}
	return BRUNT_TAKE_FD(fd);
}

static bool wait_for_controller(int fd, const char *run)
{
	uint64_t until = brunt_now() + CONTROLLER_WAIT;
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	bool told = false;

	while (brunt_now() < until) {
		if (poll(&wait, 1, 1000) > 0)
			return true;
		if (!told)
			fprintf(stderr, "brunt: run %s is reverting and ending; waiting for it\n", run);
		told = true;
	}
	return false;
}

/* The recoverer has the last word: it removes the ledger. */
static int wait_for_rest(const struct found *found)
{
	const struct timespec pause = { .tv_nsec = 20 * (long)BRUNT_MS };
	uint64_t until = brunt_now() + REST_WAIT;
	struct brunt_ledger_view view;
	bool ended = false;

	while (!ended && brunt_now() < until) {
		if (brunt_ledger_read(found->path, &view, NULL)) {
			printf("run %s ('%s') has ended; nothing of it is left\n", found->head.run, found->head.plan);
			return 0;
		}
		ended = run_state_of(&view) == RUN_DEAD;
		brunt_ledger_view_done(&view);
		(void)nanosleep(&pause, NULL);
	}
	if (ended && access(found->path, F_OK)) {
		printf("run %s ('%s') has ended; nothing of it is left\n", found->head.run, found->head.plan);
		return 0;
	}
	fprintf(stderr, "brunt: run %s left something; see `brunt status`, then `brunt recover`\n", found->head.run);
	return EXIT_RESIDUE;
}

/* One that was stopped by Ctrl-Z or kill -STOP acts when it goes on. */
static void continue_roles(const struct found *found)
{
	struct brunt_ledger_view view;
	pid_t pids[_BRUNT_ROLE_MAX];

	if (brunt_ledger_read(found->path, &view, NULL))
		return;
	run_pids(&view, pids);
	brunt_ledger_view_done(&view);
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++)
		if (pids[role] > 0 && !brunt_roles[role].of_fault)
			(void)kill(pids[role], SIGCONT);
}

static int stop(const struct found *found)
{
	const char *run = found->head.run;
	BRUNT_AUTO_CLOSE int fd = open_controller(&found->head);

	if (fd < 0 && errno != ESRCH) {
		fprintf(stderr, "brunt: cannot reach the controller of run %s: %s\n", run, strerror(errno));
		return EXIT_ERROR;
	}
	if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) && errno != ESRCH) {
		fprintf(stderr, "brunt: cannot stop run %s: %s%s\n", run, strerror(errno),
			errno == EPERM ? "; it is another user's, try with sudo" : "");
		return errno == EPERM ? EXIT_UNABLE : EXIT_ERROR;
	}
	continue_roles(found);
	if (fd >= 0 && !wait_for_controller(fd, run)) {
		fprintf(stderr, "brunt: run %s does not end; its controller has pid %d\n", run,
			(int)found->head.controller);
		return EXIT_ERROR;
	}
	return wait_for_rest(found);
}

int brunt_cmd_stop(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	struct found found = { 0 };
	struct brunt_error err = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h')
			return EXIT_USAGE;
		fputs(usage_text, stdout);
		return 0;
	}
	if (argc - optind > 1) {
		fprintf(stderr, "brunt: stop takes one run, not '%s' too\n", argv[optind + 1]);
		return EXIT_USAGE;
	}
	found.wanted = argv[optind];
	if (runs_each(find, &found, &err) < 0) {
		fprintf(stderr, "brunt: %s\n", err.msg);
		return EXIT_ERROR;
	}
	if (found.count > 1) {
		fprintf(stderr, "brunt: several runs are alive; say which one:\n%s", found.list);
		return EXIT_USAGE;
	}
	if (found.count)
		return stop(&found);
	if (found.wanted)
		printf("no run '%s' is alive\n", found.wanted);
	else
		puts("no run is alive");
	return 0;
}
