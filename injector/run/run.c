/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a loaded plan to the controller: what all roles share is made, then
 * every role is forked, then this process gives up its privileges.
 *
 * The order is part of the safety: roles first, objects after. Nothing that
 * could keep a fault alive exists before the last fork, and each end of a
 * socketpair is open in exactly two processes, so that death is heard as EOF.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "run/controller.h"
#include "run/run.h"

#define JOURNAL_WITHIN	  (5 * BRUNT_S) /* to write the rest to a slow disk */
#define HURRY_WITHIN	  (1 * BRUNT_S) /* each writer, after a signal: who sends one soon sends SIGKILL */
#define ROLES_WITHIN	  (5 * BRUNT_S) /* to end, when the run came to nothing */
#define PREPARE_WITHIN_MS 30000

/* Sockets between the roles; [0] is the controller's end, of streams the reader's. */
struct wires {
	int holder[2], launcher[2], recoverer[2];
	int journal[2], screen[2], keys[2];
	int journal_file;
};

struct run {
	const struct brunt_plan *plan;
	const struct brunt_run_options *options;
	struct brunt_run_setup setup;
	struct wires wires;
	int shared_fd;
	char journal_path[512];
	pid_t screen, journal, recoverer, launcher;
	bool hurry; /* a signal asked to end */
};

static void close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			(void)close(pair[i]);
		pair[i] = -1;
	}
}

static void close_wires(struct wires *wires)
{
	close_pair(wires->holder);
	close_pair(wires->launcher);
	close_pair(wires->recoverer);
	close_pair(wires->journal);
	close_pair(wires->screen);
	close_pair(wires->keys);
	if (wires->journal_file >= 0)
		(void)close(wires->journal_file);
	wires->journal_file = -1;
}

static int open_wires(struct wires *wires, struct brunt_error *err)
{
	const int messages = SOCK_SEQPACKET | SOCK_CLOEXEC, stream = SOCK_STREAM | SOCK_CLOEXEC;

	if (socketpair(AF_UNIX, messages, 0, wires->holder) || socketpair(AF_UNIX, messages, 0, wires->launcher) ||
	    socketpair(AF_UNIX, messages, 0, wires->recoverer) || socketpair(AF_UNIX, stream, 0, wires->journal) ||
	    socketpair(AF_UNIX, stream, 0, wires->screen) || socketpair(AF_UNIX, stream, 0, wires->keys))
		return brunt_fail(err, errno, "cannot make the roles' sockets: %s", strerror(errno));
	return 0;
}

/*
 * Memory that the privileged roles write and the others only read: sealed against new writable mappings
 * (F_SEAL_FUTURE_WRITE, fcntl(2)), so that an unprivileged role that maps it again can never write it.
 */
static int make_shared(struct run *run, struct brunt_error *err)
{
	run->shared_fd = memfd_create("brunt-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (run->shared_fd < 0 || ftruncate(run->shared_fd, sizeof(struct brunt_shared)))
		return brunt_fail(err, errno, "cannot make shared memory: %s", strerror(errno));
	run->setup.shared =
		mmap(NULL, sizeof(struct brunt_shared), PROT_READ | PROT_WRITE, MAP_SHARED, run->shared_fd, 0);
	run->setup.result =
		mmap(NULL, sizeof(struct brunt_result_box), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->setup.shared == MAP_FAILED || run->setup.result == MAP_FAILED ||
	    fcntl(run->shared_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW))
		return brunt_fail(err, errno, "cannot make shared memory: %s", strerror(errno));
	return 0;
}

static int make_shared_read_only(struct run *run)
{
	void *again = mmap(run->setup.shared, sizeof(struct brunt_shared), PROT_READ, MAP_SHARED | MAP_FIXED,
			   run->shared_fd, 0);

	return again == MAP_FAILED ? -errno : 0;
}

/* Who writes to disk or terminal does not write the verdict. */
static int give_up_result(struct run *run)
{
	if (munmap(run->setup.result, sizeof(*run->setup.result)))
		return -errno;
	run->setup.result = NULL;
	return 0;
}

static int name_run(struct run *run, struct brunt_error *err)
{
	struct brunt_shared *shared = run->setup.shared;
	char folder[96];
	uint32_t id;
	int r;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return brunt_fail(err, EIO, "no random numbers");
	(void)snprintf(shared->run, sizeof(shared->run), "%08x", id);
	(void)snprintf(shared->plan, sizeof(shared->plan), "%s", run->plan->name);
	shared->started = brunt_now();
	shared->pid[BRUNT_ROLE_CONTROLLER] = getpid();
	r = brunt_ledger_folder(folder, sizeof(folder), true, err);
	if (r)
		return r;
	(void)snprintf(run->setup.run_dir, sizeof(run->setup.run_dir), "%s/%s.d", folder, shared->run);
	if (!brunt_cgroup_mount(run->setup.cgroup_mount, sizeof(run->setup.cgroup_mount)) &&
	    run->setup.identity.privileged)
		(void)snprintf(run->setup.run_cgroup, sizeof(run->setup.run_cgroup), "/brunt.%s", shared->run);
	return 0;
}

/* Leaves only keep (and what role_enter adds) open; ends the process when the role cannot be taken on. */
static void enter(struct run *run, enum brunt_role role, const int *keep, size_t count)
{
	struct brunt_error err = { 0 };

	if (brunt_role_enter(role, &run->setup.identity, run->setup.capabilities, keep, count, &err)) {
		dprintf(STDERR_FILENO, "brunt: %s: %s\n", brunt_roles[role].name, err.msg);
		_exit(BRUNT_ERROR);
	}
}

static pid_t fork_journal(struct run *run)
{
	pid_t pid = fork();

	if (pid)
		return pid;

	const int keep[] = { run->wires.journal[0], run->wires.journal_file };

	if (make_shared_read_only(run) || give_up_result(run))
		_exit(BRUNT_ERROR);
	enter(run, BRUNT_ROLE_JOURNAL, keep, BRUNT_COUNT(keep));
	_exit(brunt_journal_main(keep[0], keep[1]));
}

static pid_t fork_screen(struct run *run)
{
	const struct brunt_run_options *options = run->options;
	pid_t pid = fork();

	if (pid)
		return pid;

	const int keep[] = { run->wires.screen[0], run->wires.keys[1], STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };

	if (make_shared_read_only(run) || give_up_result(run))
		_exit(BRUNT_ERROR);
	enter(run, BRUNT_ROLE_SCREEN, keep, BRUNT_COUNT(keep));
	_exit(brunt_screen_main(keep[0], STDOUT_FILENO, STDIN_FILENO, keep[1], options->output, options->live,
				options->colour));
}

static pid_t fork_recoverer(struct run *run)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pid_t pid = pidfd < 0 ? -1 : fork();

	if (pid) {
		if (pidfd >= 0)
			(void)close(pidfd);
		return pid;
	}

	const int keep[] = { run->wires.recoverer[1], run->wires.holder[1], pidfd };

	run->setup.controller_pidfd = pidfd;
	enter(run, BRUNT_ROLE_RECOVERER, keep, BRUNT_COUNT(keep));
	_exit(brunt_recoverer_main(&run->setup, run->wires.recoverer[1], run->wires.holder[1]));
}

/*
 * Asks the holder to prepare, and waits until it answers (the controller reads what it says): from then on the ledger
 * knows the run's cgroup and scratch folder, and they may be made. *ret_known false: there is no ledger; the controller
 * will read why.
 */
static int await_ledger(struct run *run, bool *ret_known, struct brunt_error *err)
{
	const struct brunt_verb verb = { .kind = BRUNT_VERB_PREPARE };
	struct pollfd wait = { .fd = run->wires.holder[0], .events = POLLIN };
	char folder[96], path[128], byte;
	int r = brunt_ledger_folder(folder, sizeof(folder), false, err);

	if (r)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s.ledger", folder, run->setup.shared->run);
	if (send(wait.fd, &verb, sizeof(verb), MSG_NOSIGNAL) != sizeof(verb) || poll(&wait, 1, PREPARE_WITHIN_MS) != 1)
		return brunt_fail(err, ETIMEDOUT, "the holder did not get ready");
	/* Its end is readable, too; and one that could not make the ledger answers. */
	if (recv(wait.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return brunt_fail(err, EPIPE, "the holder died before it got ready");
	*ret_known = !access(path, F_OK);
	return 0;
}

static int make_run_dir(const struct run *run, struct brunt_error *err)
{
	const struct brunt_run_setup *setup = &run->setup;

	/* Services of any user get there, whatever the umask. */
	if (mkdir(setup->run_dir, 0755) || chmod(setup->run_dir, 0755) ||
	    (setup->identity.privileged && chown(setup->run_dir, setup->identity.uid, setup->identity.gid)))
		return brunt_fail(err, errno, "cannot make '%s': %s", setup->run_dir, strerror(errno));
	return 0;
}

static bool needs_launcher(const struct brunt_plan *plan)
{
	if (plan->services.count || plan->finally.count)
		return true;
	BRUNT_FOREACH (struct brunt_sli, sli, plan->slis)
		if (sli->kind == BRUNT_SLI_COMMAND)
			return true;
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i]->kind == BRUNT_STEP_RUN)
			return true;
	return false;
}

static int fork_roles(struct run *run, struct brunt_error *err)
{
	struct brunt_shared *shared = run->setup.shared;
	bool known = false;
	int r = 0;

	run->journal = fork_journal(run);
	run->screen = run->journal < 0 ? -1 : fork_screen(run);
	if (run->screen < 0)
		return brunt_fail(err, errno, "cannot fork: %s", strerror(errno));
	/* Known to the recoverer from its start: should the controller die, it sees to their end. */
	shared->pid[BRUNT_ROLE_JOURNAL] = run->journal;
	shared->pid[BRUNT_ROLE_SCREEN] = run->screen;
	run->recoverer = fork_recoverer(run);
	if (run->recoverer < 0)
		return brunt_fail(err, errno, "cannot fork: %s", strerror(errno));
	shared->pid[BRUNT_ROLE_RECOVERER] = run->recoverer;
	/* The holder's end must be in the holder alone, or its death is not heard. */
	(void)close(BRUNT_TAKE_FD(run->wires.holder[1]));
	r = await_ledger(run, &known, err);
	if (!r && known)
		r = make_run_dir(run, err);
	/* Last: its cgroup and scratch folder may be made only now that the ledger knows them. */
	if (!r && known && needs_launcher(run->plan)) {
		r = brunt_launcher_fork(&run->setup, run->wires.launcher[1], &run->launcher, err);
		shared->pid[BRUNT_ROLE_LAUNCHER] = r ? 0 : run->launcher;
	}
	return r;
}

/* One that was stopped goes on: what it has not written yet would be lost with it. */
static bool has_ended(pid_t pid)
{
	int status;
	pid_t r = waitpid(pid, &status, WNOHANG | WUNTRACED);

	if (r == pid && WIFSTOPPED(status)) {
		(void)kill(pid, SIGCONT);
		return false;
	}
	return r != 0;
}

/* A signal that asks to end, or the end of a child; waits at most 20 ms. */
static int await_signal(void)
{
	static const int wanted[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	const struct timespec moment = { .tv_nsec = 20 * (long)BRUNT_MS };
	sigset_t signals;

	(void)sigemptyset(&signals);
	for (size_t i = 0; i < BRUNT_COUNT(wanted); i++)
		(void)sigaddset(&signals, wanted[i]);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	return sigtimedwait(&signals, NULL, &moment);
}

/*
 * Lets a writer write all it has and end. Nothing is held any more: it may take that long (0: for as long as its
 * reader needs). A signal leaves it HURRY_WITHIN; then it is killed, so that no process of the run stays.
 */
static void await_writer(struct run *run, pid_t pid, struct brunt_sink *sink, uint64_t within)
{
	uint64_t until = within ? brunt_now() + within : 0;
	bool flushed = false;

	while (!has_ended(pid)) {
		uint64_t now = brunt_now();
		int signal;

		if (run->hurry && (!until || until > now + HURRY_WITHIN))
			until = now + HURRY_WITHIN;
		if (until && now >= until) {
			(void)kill(pid, SIGKILL);
			(void)await_signal(); /* one that hangs in the kernel ends when that lets it */
			(void)waitpid(pid, NULL, WNOHANG);
			return;
		}
		if (!flushed)
			flushed = brunt_sink_flush(sink, 0) != -ETIMEDOUT;
		signal = await_signal();
		run->hurry |= signal > 0 && signal != SIGCHLD;
	}
}

static int control(struct run *run, struct brunt_error *err)
{
	struct wires *wires = &run->wires;
	const int keep[] = { wires->holder[0], wires->launcher[0], wires->recoverer[0], wires->journal[1],
			     wires->screen[1], wires->keys[0],	   STDERR_FILENO };
	struct controller ctl = {
		.plan = run->plan,
		.options = run->options,
		.setup = &run->setup,
		.shared = run->setup.shared,
		.holder = wires->holder[0],
		.launcher = run->launcher > 0 ? wires->launcher[0] : -1,
		.recoverer = wires->recoverer[0],
		.keys = wires->keys[0],
		.launcher_pid = run->launcher,
		.journal_path = run->journal_path,
		.resolve = {
			.seed = run->setup.seed,
			.proc = "/proc",
			.cgroup_mount = run->setup.cgroup_mount[0] ? run->setup.cgroup_mount : NULL,
			.run_cgroup = run->setup.run_cgroup[0] ? run->setup.run_cgroup : NULL,
			.service_names = run->plan->service_names,
			.services = run->setup.shared->services,
			.own = run->setup.shared->pid,
			.own_count = _BRUNT_ROLE_MAX,
		},
	};
	int status;

	if (make_shared_read_only(run))
		return brunt_fail(err, EIO, "cannot map the shared memory again");
	(void)close(wires->screen[0]);
	(void)close(wires->journal[0]);
	if (brunt_role_enter(BRUNT_ROLE_CONTROLLER, &run->setup.identity, 0, keep, BRUNT_COUNT(keep), err))
		return -err->code;
	if (brunt_sink_new(wires->journal[1], &ctl.journal, err) || brunt_sink_new(wires->screen[1], &ctl.screen, err))
		return -err->code;
	status = controller_main(&ctl);
	run->hurry = ctl.signals > 0;
	await_writer(run, run->journal, ctl.journal, JOURNAL_WITHIN);
	await_writer(run, run->screen, ctl.screen, 0);
	brunt_sink_free(ctl.journal);
	brunt_sink_free(ctl.screen);
	return status;
}

/* Every role that was forked hears EOF and ends; only then is the host as it was. */
static void give_up(struct run *run)
{
	const pid_t roles[] = { run->launcher, run->recoverer, run->journal, run->screen };
	uint64_t until = brunt_now() + ROLES_WITHIN;

	close_wires(&run->wires);
	for (size_t i = 0; i < BRUNT_COUNT(roles); i++)
		while (roles[i] > 0 && !has_ended(roles[i]) && brunt_now() < until)
			(void)await_signal();
}

/*
 * What the file says until the run has something better to say: a brunt that is killed as a whole must not leave an
 * older run's verdict there.
 */
static int put_first_result(const char *path, struct brunt_error *err)
{
	static const char why[] = "the run has not ended, or all of brunt was killed: see `brunt status`";
	char text[512];
	int size;

	if (!path)
		return 0;
	size = snprintf(text, sizeof(text),
			"{\n  \"schema\": 1,\n  \"verdict\": \"error\",\n  \"exit\": %d,\n"
			"  \"reasons\": [\n    \"%s\"\n  ]\n}\n",
			BRUNT_ERROR, why);
	return brunt_file_replace(path, text, (size_t)size, err);
}

/* Where 0, 1 or 2 is closed, a socket of ours would get its number, and what is said to the user would go there. */
static int fill_standard_descriptors(struct brunt_error *err)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_NOCTTY) != fd)
			return brunt_fail(err, errno, "cannot open /dev/null: %s", strerror(errno));
	return 0;
}

int brunt_run(const struct brunt_plan *plan, const struct brunt_run_options *options, struct brunt_error *err)
{
	struct run run = {
		.plan = plan,
		.options = options,
		.setup = { .plan = plan, .result_path = options->result, .controller_pidfd = -1 },
		.wires = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, -1 },
		.shared_fd = -1,
		.screen = -1,
		.journal = -1,
		.recoverer = -1,
		.launcher = -1,
	};
	int r = brunt_identity_get(&run.setup.identity, err);

	run.setup.seed = options->has_seed ? options->seed : plan->seed;
	run.setup.capabilities = brunt_plan_capabilities(plan);
	if (!r)
		r = fill_standard_descriptors(err);
	if (!r)
		r = put_first_result(options->result, err);
	if (!r)
		r = brunt_preflight(plan, err);
	if (!r)
		r = brunt_plan_ways(plan, &run.setup.ways, err);
	if (!r)
		r = make_shared(&run, err);
	if (!r)
		r = name_run(&run, err);
	if (!r)
		r = open_wires(&run.wires, err);
	if (!r)
		r = brunt_journal_open(run.setup.shared->run, run.setup.identity.uid, run.setup.identity.gid,
				       run.journal_path, sizeof(run.journal_path), &run.wires.journal_file, err);
	if (!r)
		r = fork_roles(&run, err);
	if (!r)
		r = control(&run, err);
	if (r < 0)
		give_up(&run);
	free(run.setup.ways);
	return r;
}
