/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job: FREE -> PREPARING -> RUNNING -> (WAITING -> RUNNING ...)
 * -> FREE, by way of STOPPING and KILLED when it is told to end. Nothing here
 * waits: children speak through pipes, their ends come as SIGCHLD, all else
 * is due at some time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "hold/launcher.h"

/* ---- the plan's words for a job ---- */

static const struct brunt_service *service_of(const struct launcher *launcher, const struct job *job)
{
	const struct brunt_service *services = launcher->setup->plan->services.items;

	return job->verb == BRUNT_LAUNCH_START ? &services[job->index] : NULL;
}

static void use_run(struct child_spec *spec, const struct brunt_list *run)
{
	spec->run = run->items;
	spec->run_count = run->count;
}

/* What the job runs, when not a prepare line; false: the plan has no such thing. */
static bool describe(const struct launcher *launcher, const struct brunt_launch_verb *verb, struct child_spec *ret)
{
	const struct brunt_plan *plan = launcher->setup->plan;
	uint32_t index = verb->index;

	ret->setup = launcher->setup;
	ret->cwd = plan->dir;
	switch (verb->kind) {
	case BRUNT_LAUNCH_START:
		if (index < launcher->service_count) {
			const struct brunt_service *service =
				&((const struct brunt_service *)plan->services.items)[index];

			use_run(ret, &service->run);
			ret->env = &service->env;
			ret->cwd = service->cwd ? service->cwd : plan->dir;
			ret->user = service->user;
		}
		break;
	case BRUNT_LAUNCH_STEP:
		if (index < plan->step_count && plan->steps[index]->kind == BRUNT_STEP_RUN) {
			use_run(ret, &plan->steps[index]->run);
			ret->user = plan->steps[index]->user;
		}
		break;
	case BRUNT_LAUNCH_FINALLY:
		if (index < plan->finally.count) {
			const struct brunt_finally *finally =
				&((const struct brunt_finally *)plan->finally.items)[index];

			use_run(ret, &finally->run);
			ret->user = finally->user;
		}
		break;
	case BRUNT_LAUNCH_SLI:
		if (index < plan->slis.count) {
			const struct brunt_sli *sli = &((const struct brunt_sli *)plan->slis.items)[index];

			if (sli->command) {
				use_run(ret, &sli->command->run);
				ret->user = sli->command->user;
			}
		}
		break;
	default:
		break;
	}
	return ret->run_count > 0;
}

/* ---- reports ---- */

static struct brunt_launch_report about(const struct job *job, uint32_t kind)
{
	return (struct brunt_launch_report){
		.kind = kind,
		.verb = job->verb,
		.index = job->index,
		.sequence = job->sequence,
		.pid = job->outer,
	};
}

static void report_failed(struct launcher *launcher, struct job *job, int code, const char *text)
{
	struct brunt_launch_report report = about(job, BRUNT_LAUNCH_FAILED);

	report.code = -code;
	(void)snprintf(report.text, sizeof(report.text), "%.255s", text);
	job->failed = true;
	launcher_report(launcher, &report, -1);
}

static void report_exited(struct launcher *launcher, const struct job *job, bool restarting)
{
	struct brunt_launch_report report = about(job, BRUNT_LAUNCH_EXITED);

	report.status = job->status;
	report.restarting = restarting;
	launcher_report(launcher, &report, -1);
}

/* Readers of the shared slots see a pid only together with its start time. */
static void publish(const struct launcher *launcher, const struct job *job, pid_t pid, uint64_t start)
{
	struct brunt_service_slot *slot = &launcher->setup->shared->services[job->index];

	if (job->index >= BRUNT_SERVICES_MAX || job < launcher->services ||
	    job >= launcher->services + launcher->service_count)
		return;
	__atomic_store_n(&slot->pid, 0, __ATOMIC_RELEASE);
	if (pid > 0) {
		slot->start = start;
		slot->generation++;
		__atomic_store_n(&slot->pid, pid, __ATOMIC_RELEASE);
	}
}

static void close_descriptor(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* ---- starting ---- */

/* A pipe whose read end never blocks and whose write end may be opened again as /dev/stdout, whoever the user is. */
static int make_pipe(int *ret_read, int *ret_write)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 || fchmod(ends[1], 0666) < 0) {
		int code = -errno;

		(void)close(ends[0]);
		(void)close(ends[1]);
		return code;
	}
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

static void name_cgroup(const struct launcher *launcher, struct job *job)
{
	const struct brunt_run_setup *setup = launcher->setup;
	const struct brunt_service *service = service_of(launcher, job);

	*job->cgroup = '\0';
	if (!launcher->grouping)
		return;
	/* No service's name begins with an underscore. */
	if (service)
		(void)snprintf(job->cgroup, sizeof(job->cgroup), "%.200s%.60s/%.64s", setup->cgroup_mount,
			       setup->run_cgroup, service->name);
	else
		(void)snprintf(job->cgroup, sizeof(job->cgroup), "%.200s%.60s/_command-%llu", setup->cgroup_mount,
			       setup->run_cgroup, (unsigned long long)launcher->starts);
}

/* Forks the job's next main process. On failure the job is FREE and FAILED was reported. */
static void spawn(struct launcher *launcher, struct job *job, struct child_spec *spec)
{
	BRUNT_AUTO_CLOSE int output = -1;
	BRUNT_AUTO_CLOSE int word = -1;
	char text[160];
	int code;

	job->failed = false;
	job->outer = 0;
	job->word = job->output = -1;
	job->last_size = 0;
	job->last_ended = false;
	job->grouped = false;
	if (*job->cgroup) {
		code = launcher_cgroup_make(job);
		if (code) {
			(void)snprintf(text, sizeof(text), "cannot make the cgroup '%.100s': %s", job->cgroup,
				       strerror(-code));
			job->state = JOB_FREE;
			report_failed(launcher, job, -code, text);
			return;
		}
		job->grouped = true;
	}
	spec->cgroup = job->cgroup;
	code = make_pipe(&job->output, &output);
	if (!code)
		code = make_pipe(&job->word, &word);
	if (!code) {
		spec->output = output;
		spec->word = word;
		job->pid = fork();
		if (job->pid == 0)
			launcher_child(spec);
		if (job->pid < 0)
			code = -errno;
	}
	if (code) {
		job->pid = 0;
		close_descriptor(&job->output);
		close_descriptor(&job->word);
		(void)snprintf(text, sizeof(text), "cannot start a process: %s", strerror(-code));
		job->state = JOB_FREE;
		report_failed(launcher, job, -code, text);
		return;
	}
	job->group = job->pid;
	job->order = ++launcher->starts;
}

/* The next prepare line, or the service itself. */
static void spawn_next(struct launcher *launcher, struct job *job)
{
	const struct brunt_launch_verb verb = { .kind = job->verb, .index = job->index };
	const struct brunt_service *service = service_of(launcher, job);
	struct child_spec spec = { 0 };

	(void)describe(launcher, &verb, &spec);
	job->state = JOB_RUNNING;
	job->due = 0;
	if (service && !job->prepared && job->prepare < service->prepare.count) {
		spec.run = (const char *const *)service->prepare.items + job->prepare;
		spec.run_count = 1;
		job->state = JOB_PREPARING;
	} else {
		job->prepared = true;
	}
	spawn(launcher, job, &spec);
}

static struct job *free_command(struct launcher *launcher)
{
	for (size_t i = 0; i < LAUNCHER_COMMANDS_MAX; i++) {
		if (launcher->commands[i].state == JOB_FREE)
			return &launcher->commands[i];
	}
	return NULL;
}

void launcher_job_start(struct launcher *launcher, const struct brunt_launch_verb *verb)
{
	struct job refused = { .verb = verb->kind, .index = verb->index, .sequence = verb->sequence };
	struct child_spec spec = { 0 };
	struct job *job;

	if (!describe(launcher, verb, &spec)) {
		report_failed(launcher, &refused, EINVAL, "the plan has nothing to run there");
		return;
	}
	if (launcher->ending) {
		report_failed(launcher, &refused, ESHUTDOWN, "the run is ending");
		return;
	}
	job = verb->kind == BRUNT_LAUNCH_START ? &launcher->services[verb->index] : free_command(launcher);
	if (!job) {
		report_failed(launcher, &refused, EAGAIN, "too many commands run at once");
		return;
	}
	if (job->state != JOB_FREE) {
		report_failed(launcher, &refused, EALREADY, "the service runs already");
		return;
	}
	job->verb = verb->kind;
	job->index = verb->index;
	job->sequence = verb->sequence;
	job->status = 0;
	job->prepare = 0;
	name_cgroup(launcher, job);
	spawn_next(launcher, job);
}

/* ---- what children say ---- */

static void launched(struct launcher *launcher, struct job *job)
{
	struct brunt_launch_report report;

	close_descriptor(&job->word);
	if (job->state != JOB_RUNNING || job->failed)
		return;
	publish(launcher, job, job->outer, job->outer_start);
	report = about(job, BRUNT_LAUNCHED);
	launcher_report(launcher, &report, BRUNT_TAKE_FD(job->output));
}

void launcher_job_word(struct launcher *launcher, struct job *job)
{
	struct child_word word;
	ssize_t size;

	while (job->word >= 0) {
		size = read(job->word, &word, sizeof(word));
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN)
			return;
		if (size != (ssize_t)sizeof(word)) {
			launched(launcher, job);
			return;
		}
		if (word.code == 0) {
			job->outer = word.pid;
			job->outer_start = word.start;
		} else {
			word.text[sizeof(word.text) - 1] = '\0';
			report_failed(launcher, job, word.code, word.text);
		}
	}
}

/* Keeps the last line that is not empty, cut. */
void launcher_job_output(struct job *job)
{
	char buf[4096];
	ssize_t size;

	for (int reads = 0; job->output >= 0 && reads < 16; reads++) {
		size = read(job->output, buf, sizeof(buf));
		if (size < 0)
			return;
		if (size == 0) {
			close_descriptor(&job->output);
			return;
		}
		for (ssize_t i = 0; i < size; i++) {
			if (buf[i] == '\n' || buf[i] == '\r') {
				job->last_ended = true;
				continue;
			}
			if (job->last_ended)
				job->last_size = 0;
			job->last_ended = false;
			if (job->last_size < sizeof(job->last_line) - 1)
				job->last_line[job->last_size++] = buf[i];
		}
	}
}

/* ---- ends ---- */

static void prepare_ended(struct launcher *launcher, struct job *job)
{
	const struct brunt_service *service = service_of(launcher, job);
	const char *line = ((const char *const *)service->prepare.items)[job->prepare];
	BRUNT_AUTO_FREE char *shown = strdup(line);
	char how[48], text[320];

	launcher_job_output(job);
	close_descriptor(&job->output);
	if (job->status == 0 && !job->failed && !launcher->ending) {
		job->prepare++;
		spawn_next(launcher, job);
		return;
	}
	job->state = JOB_FREE;
	if (job->failed || launcher->ending)
		return;
	if (WIFSIGNALED(job->status))
		(void)snprintf(how, sizeof(how), "was ended by signal %d", WTERMSIG(job->status));
	else
		(void)snprintf(how, sizeof(how), "failed with exit status %d", WEXITSTATUS(job->status));
	job->last_line[job->last_size] = '\0';
	/* Redacted before it is cut: half a secret is not known as one. */
	brunt_plan_redact(launcher->setup->plan, shown);
	(void)snprintf(text, sizeof(text), "prepare '%.60s' %s%s%s", shown ? shown : "?", how,
		       job->last_size ? ": " : "", job->last_line);
	report_failed(launcher, job, EIO, text);
}

/* Everything of a stopped service is gone, or was given up on. */
static void stopped(struct launcher *launcher, struct job *job)
{
	close_descriptor(&job->output);
	close_descriptor(&job->word);
	report_exited(launcher, job, false);
	job->state = JOB_FREE;
	job->pid = 0;
	job->due = 0;
}

static void running_ended(struct launcher *launcher, struct job *job)
{
	const struct brunt_service *service = service_of(launcher, job);
	bool restarting = service && service->has_restart && !job->failed && !launcher->ending;

	publish(launcher, job, 0, 0);
	close_descriptor(&job->output);
	if (!job->failed)
		report_exited(launcher, job, restarting);
	if (restarting) {
		uint64_t delay = service->restart < LAUNCHER_RESTART_MIN ? LAUNCHER_RESTART_MIN : service->restart;

		job->state = JOB_WAITING;
		job->due = brunt_now() + delay;
		return;
	}
	job->state = JOB_FREE;
	if (!service && job->grouped && rmdir(job->cgroup) < 0 && errno == EBUSY) {
		job->state = JOB_LEAVING;
		job->due = brunt_now() + LAUNCHER_KILL_GRACE;
	}
}

static struct job *job_of(struct launcher *launcher, pid_t pid)
{
	for (size_t i = 0; i < launcher->service_count; i++) {
		if (launcher->services[i].pid == pid)
			return &launcher->services[i];
	}
	for (size_t i = 0; i < LAUNCHER_COMMANDS_MAX; i++) {
		if (launcher->commands[i].pid == pid)
			return &launcher->commands[i];
	}
	return NULL;
}

void launcher_job_exited(struct launcher *launcher, pid_t pid, int status)
{
	struct job *job = job_of(launcher, pid);

	if (!job)
		return;
	/* What it said before it ended comes first. */
	launcher_job_word(launcher, job);
	close_descriptor(&job->word);
	job->pid = 0;
	job->status = status;
	switch (job->state) {
	case JOB_PREPARING:
		prepare_ended(launcher, job);
		break;
	case JOB_RUNNING:
		running_ended(launcher, job);
		break;
	case JOB_STOPPING:
	case JOB_KILLED:
		publish(launcher, job, 0, 0);
		launcher_job_tick(launcher, job, brunt_now());
		break;
	default:
		break;
	}
}

/* ---- stopping ---- */

void launcher_job_stop(struct launcher *launcher, struct job *job)
{
	if (job->state == JOB_STOPPING || job->state == JOB_KILLED)
		return;
	launcher_cgroup_signal(job, SIGTERM);
	/* A stopped process would not see it. */
	launcher_cgroup_signal(job, SIGCONT);
	job->state = JOB_STOPPING;
	job->due = brunt_now() + LAUNCHER_STOP_GRACE;
	launcher_job_tick(launcher, job, brunt_now());
}

void launcher_job_cancel(struct launcher *launcher, uint64_t sequence)
{
	for (size_t i = 0; i < LAUNCHER_COMMANDS_MAX; i++) {
		struct job *job = &launcher->commands[i];

		if (job->state == JOB_RUNNING && job->sequence == sequence)
			launcher_cgroup_signal(job, SIGKILL);
	}
}

/* ---- what is due ---- */

void launcher_job_tick(struct launcher *launcher, struct job *job, uint64_t now)
{
	bool is_due = job->due && now >= job->due;

	switch (job->state) {
	case JOB_WAITING:
		if (is_due && !launcher->ending) {
			/* Stragglers of the last life would stand in the way of the next one. */
			launcher_cgroup_signal(job, SIGKILL);
			spawn_next(launcher, job);
		}
		break;
	case JOB_STOPPING:
		if (job->pid == 0 && launcher_cgroup_empty(job)) {
			stopped(launcher, job);
		} else if (is_due) {
			launcher_cgroup_signal(job, SIGKILL);
			job->state = JOB_KILLED;
			job->due = now + LAUNCHER_KILL_GRACE;
		}
		break;
	case JOB_KILLED:
		if ((job->pid == 0 && launcher_cgroup_empty(job)) || is_due)
			stopped(launcher, job);
		break;
	case JOB_LEAVING:
		if (rmdir(job->cgroup) == 0 || errno != EBUSY || is_due)
			job->state = JOB_FREE;
		break;
	default:
		break;
	}
}

uint64_t launcher_job_due(const struct job *job, uint64_t now)
{
	uint64_t tick = now + LAUNCHER_TICK;

	switch (job->state) {
	case JOB_WAITING:
		return job->due;
	case JOB_STOPPING:
	case JOB_KILLED:
	case JOB_LEAVING:
		return job->due < tick ? job->due : tick;
	default:
		return 0;
	}
}
