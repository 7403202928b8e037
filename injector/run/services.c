/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's end of the launcher: services and commands, and what they
 * write. A service is heard line by line; a line that is too long is cut, and
 * only so much of its output is kept in the journal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "brunt/clock.h"
#include "brunt/memory.h"
#include "run/controller.h"

#define LINE_MAX_BYTES	   4096
#define OUTPUT_KEPT_BYTES  (256 * 1024) /* of a service's output, in the journal */
#define COMMAND_KEPT_BYTES (64 * 1024)

/* The read end of one process's output. */
struct output {
	struct controller *ctl;
	sd_event_source *source;
	int fd;
	bool is_service;
	uint32_t index; /* of the service */
	struct command_run *command;
	char line[LINE_MAX_BYTES];
	size_t size;
	char *kept; /* a command's output */
	size_t kept_size;
	struct output *next;
};

static const struct brunt_service *service_at(const struct controller *ctl, uint32_t index)
{
	return (const struct brunt_service *)ctl->plan->services.items + index;
}

static void output_free(struct output *output)
{
	if (!output)
		return;
	sd_event_source_unref(output->source);
	if (output->fd >= 0)
		(void)close(output->fd);
	free(output->kept);
	free(output);
}

/* Never in the middle of a character: JSON takes whole ones only. */
static void cut_text(char *to, size_t room, const char *text)
{
	size_t size = brunt_text_cut(text, room - 1);

	memcpy(to, text, size);
	to[size] = '\0';
}

static void on_line(struct output *output)
{
	struct controller *ctl = output->ctl;
	uint64_t now = brunt_now();
	bool cut = output->size == sizeof(output->line) - 1;

	output->line[output->size] = '\0';
	output->size = 0;

	struct service_run *service = &ctl->services[output->index];

	/* The SLI hears the line as it was written; what is shown and kept is redacted. */
	if (ctl->watch)
		brunt_watch_line(ctl->watch, output->index, output->line, now);
	if (cut)
		brunt_plan_redact_cut(ctl->plan, output->line);
	else
		brunt_plan_redact(ctl->plan, output->line);
	(void)brunt_text_clean(output->line); /* what is no UTF-8 would lose the event */
	cut_text(service->last_line, sizeof(service->last_line), output->line);
	if (service->line_bytes > OUTPUT_KEPT_BYTES) {
		service->lines_dropped++;
		return;
	}
	service->line_bytes += strlen(output->line) + 1;
	controller_emit(ctl, "service.output", now, "{s:s, s:s}", "service", service_at(ctl, output->index)->name,
			"line", output->line);
}

static void take_bytes(struct output *output, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n') {
			on_line(output);
		} else if (output->size < sizeof(output->line) - 1) {
			output->line[output->size++] = bytes[i] ? bytes[i] : '?';
		}
	}
}

/* The last line may have no newline. */
static void end_line(struct output *output)
{
	if (output->is_service && output->size)
		on_line(output);
}

static void keep(struct output *output, const char *bytes, size_t size)
{
	size_t room = COMMAND_KEPT_BYTES - output->kept_size;

	if (!output->kept)
		output->kept = calloc(1, COMMAND_KEPT_BYTES + 1);
	if (!output->kept)
		return;
	if (size > room)
		size = room;
	memcpy(output->kept + output->kept_size, bytes, size);
	output->kept_size += size;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct output *output = user;
	char bytes[16384];
	ssize_t size = read(fd, bytes, sizeof(bytes));

	(void)revents;
	if (size > 0) {
		if (output->is_service)
			take_bytes(output, bytes, (size_t)size);
		else
			keep(output, bytes, (size_t)size);
		return 0;
	}
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	end_line(output);
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static struct output *output_new(struct controller *ctl, int fd)
{
	struct output *output = calloc(1, sizeof(*output));

	if (!output) {
		(void)close(fd);
		return NULL;
	}
	output->ctl = ctl;
	output->fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) ||
	    sd_event_add_io(ctl->loop, &output->source, fd, EPOLLIN, on_output, output) < 0) {
		output_free(output);
		return NULL;
	}
	return output;
}

static struct command_run *command_find(struct controller *ctl, uint64_t sequence)
{
	for (struct command_run *command = ctl->commands; command; command = command->next)
		if (command->sequence == sequence)
			return command;
	return NULL;
}

bool controller_command_output_cut(const struct command_run *command)
{
	return command->output && command->output->kept_size == COMMAND_KEPT_BYTES;
}

const char *controller_command_output(const struct command_run *command)
{
	return command->output && command->output->kept ? command->output->kept : "";
}

void controller_command_free(struct controller *ctl, struct command_run *command)
{
	for (struct command_run **at = &ctl->commands; *at; at = &(*at)->next)
		if (*at == command) {
			*at = command->next;
			break;
		}
	output_free(command->output);
	free(command);
}

/* Output that is already in the pipe belongs to the command's end. */
static void drain(struct output *output)
{
	if (!output)
		return;
	for (int i = 0; i < 64; i++) {
		char bytes[16384];
		ssize_t size = read(output->fd, bytes, sizeof(bytes));

		if (!size)
			end_line(output);
		if (size <= 0)
			return;
		if (output->is_service)
			take_bytes(output, bytes, (size_t)size);
		else
			keep(output, bytes, (size_t)size);
	}
}

static void on_ready(void *user, uint32_t index, int code, const char *why)
{
	struct controller *ctl = user;
	struct service_run *service = &ctl->services[index];

	if (code) {
		service->failed = true;
		if (!service->last_line[0] && why)
			cut_text(service->last_line, sizeof(service->last_line), why);
		return;
	}
	service->ready = true;
}

/*
 * Asked for at once: its first lines, and its end, may be the next things to come. A service that restarted before it
 * was ready goes on with the `within` of its start.
 */
static void ask_ready(struct controller *ctl, uint32_t index)
{
	struct service_run *state = &ctl->services[index];
	struct brunt_error err = { 0 };

	if (state->ready || state->asked)
		return;
	state->asked = true;
	if (!service_at(ctl, index)->ready)
		state->ready = true;
	else if (brunt_watch_ready(ctl->watch, index, on_ready, ctl, &err))
		on_ready(ctl, index, -err.code, err.msg);
}

static void on_service(struct controller *ctl, const struct brunt_launch_report *report, int fd)
{
	struct service_run *service = &ctl->services[report->index];
	const char *name = service_at(ctl, report->index)->name;
	bool expected;

	switch ((enum brunt_launch_report_kind)report->kind) {
	case BRUNT_LAUNCHED:
		service->up = true;
		output_free(service->output);
		service->output = fd >= 0 ? output_new(ctl, fd) : NULL;
		if (service->output) {
			service->output->is_service = true;
			service->output->index = report->index;
		}
		controller_emit(ctl, "service.start", report->at, "{s:s, s:i}", "service", name, "pid",
				(int)report->pid);
		ask_ready(ctl, report->index);
		return;
	case BRUNT_LAUNCH_FAILED:
		service->failed = true;
		cut_text(service->last_line, sizeof(service->last_line), report->text);
		/* It ran, ended, and cannot be started again. */
		if (service->ready && !service->stopping && !ctl->first_applied &&
		    !service_at(ctl, report->index)->may_exit)
			controller_stop(ctl, STOP_ERROR, "service '%s' could not be started again: %.120s", name,
					service->last_line);
		return;
	case BRUNT_LAUNCH_EXITED:
		service->up = false;
		drain(service->output); /* its last line says why */
		/* A service that a fault killed, or that may exit, is no failure; the SLIs judge what it means. */
		expected = service->stopping || service_at(ctl, report->index)->may_exit || report->restarting ||
			   ctl->first_applied;
		controller_emit(ctl, "service.end", report->at, "{s:s, s:i, s:i, s:b, s:b, s:s}", "service", name,
				"pid", (int)report->pid, "status", report->status, "expected", expected, "restarting",
				report->restarting, "last_line", service->last_line);
		if (!service->ready)
			service->failed = !report->restarting;
		else if (!expected)
			controller_stop(ctl, STOP_ERROR, "service '%s' ended by itself (%s %d): %.100s", name,
					WIFSIGNALED(report->status) ? "signal" : "status",
					WIFSIGNALED(report->status) ? WTERMSIG(report->status)
								    : WEXITSTATUS(report->status),
					service->last_line);
		return;
	case BRUNT_LAUNCH_ENDED:
		return;
	}
}

static void on_command(struct controller *ctl, const struct brunt_launch_report *report, int fd)
{
	struct command_run *command = command_find(ctl, report->sequence);

	if (!command) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	if (report->kind == BRUNT_LAUNCHED) {
		command->output = fd >= 0 ? output_new(ctl, fd) : NULL;
		if (command->output)
			command->output->command = command;
		return;
	}
	command->ended = true;
	command->status = report->status;
	command->code = report->kind == BRUNT_LAUNCH_FAILED ? report->code : 0;
	(void)snprintf(command->text, sizeof(command->text), "%s", report->text);
	drain(command->output);
	if (command->verb == BRUNT_LAUNCH_SLI) {
		int status = command->code ? 127 << 8 : command->status;

		if (ctl->watch)
			brunt_watch_command(ctl->watch, command->sequence, status, controller_command_output(command));
		controller_command_free(ctl, command);
	}
}

static int receive(int socket, struct brunt_launch_report *ret, int *ret_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t size;

	/* It ended before it read our last verb; what it had said before waits behind that error (as in holding.c). */
	do
		size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == ECONNRESET);
	*ret_fd = -1;
	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;

	struct cmsghdr *cmsg = size ? CMSG_FIRSTHDR(&message) : NULL;

	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS && cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
	if (size == (ssize_t)sizeof(*ret))
		return 0;
	if (*ret_fd >= 0)
		(void)close(*ret_fd);
	return -EPIPE;
}

static int on_launcher(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct controller *ctl = user;
	struct brunt_launch_report report;
	int output;

	(void)revents;
	for (;;) {
		int r = receive(fd, &report, &output);

		if (r == -EAGAIN)
			return 0;
		if (r)
			break;
		report.text[sizeof(report.text) - 1] = '\0';
		if (report.kind == BRUNT_LAUNCH_ENDED)
			ctl->launcher_ended = true;
		else if (report.verb == BRUNT_LAUNCH_START && report.index < ctl->plan->services.count)
			on_service(ctl, &report, output);
		else
			on_command(ctl, &report, output);
	}
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	ctl->launcher = -1;
	controller_emit(ctl, "role.end", 0, "{s:s, s:i, s:b}", "role", "launcher", "pid", (int)ctl->launcher_pid,
			"expected", ctl->launcher_ended);
	if (!ctl->launcher_ended)
		controller_stop(ctl, STOP_ERROR, "the launcher died, and every service with it");
	ctl->launcher_ended = true;
	return 0;
}

int controller_launching_start(struct controller *ctl, struct brunt_error *err)
{
	if (ctl->launcher < 0)
		return 0;

	int r = sd_event_add_io(ctl->loop, NULL, ctl->launcher, EPOLLIN, on_launcher, ctl);

	return r < 0 ? brunt_fail(err, -r, "cannot watch the launcher") : 0;
}

static int send_verb(struct controller *ctl, enum brunt_launch_verb_kind kind, uint32_t index, uint64_t sequence)
{
	struct brunt_launch_verb verb = { .kind = kind, .index = index, .sequence = sequence };

	if (ctl->launcher < 0)
		return -EPIPE;
	return send(ctl->launcher, &verb, sizeof(verb), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(verb) ? 0 : -errno;
}

int controller_launch(struct controller *ctl, enum brunt_launch_verb_kind kind, uint32_t index,
		      struct command_run **ret)
{
	uint64_t sequence = ++ctl->sequence;

	if (!ret)
		return send_verb(ctl, kind, index, sequence);

	struct command_run *command = calloc(1, sizeof(*command));

	if (!command)
		return -ENOMEM;
	command->sequence = sequence;
	command->verb = kind;
	command->index = index;

	int r = send_verb(ctl, kind, index, sequence);

	if (r) {
		free(command);
		return r;
	}
	command->next = ctl->commands;
	ctl->commands = command;
	*ret = command;
	return 0;
}

void controller_launch_cancel(struct controller *ctl, struct command_run *command)
{
	(void)send_verb(ctl, BRUNT_LAUNCH_CANCEL, command->index, command->sequence);
}

int controller_service_begin(struct controller *ctl, uint32_t index, struct brunt_error *err)
{
	struct service_run *state = &ctl->services[index];

	state->failed = state->ready = state->stopping = state->asked = false;
	state->last_line[0] = '\0';
	state->started = brunt_now();

	int r = controller_launch(ctl, BRUNT_LAUNCH_START, index, NULL);

	return r ? brunt_fail(err, -r, "the launcher does not start service '%s'", service_at(ctl, index)->name) : 0;
}

int controller_service_look(struct controller *ctl, uint32_t index, struct brunt_error *err)
{
	struct service_run *state = &ctl->services[index];
	const char *name = service_at(ctl, index)->name;

	if (state->ready) {
		controller_emit(ctl, "service.ready", 0, "{s:s, s:I}", "service", name, "took_ns",
				(json_int_t)(brunt_now() - state->started));
		return 0;
	}
	if (!state->failed && ctl->launcher >= 0)
		return -EAGAIN;
	brunt_watch_ready_cancel(ctl->watch, index);
	return brunt_fail(err, ECHILD, "service '%s' did not get ready: %.120s", name,
			  state->last_line[0] ? state->last_line : "it ended");
}

int controller_service_start(struct controller *ctl, uint32_t index, struct brunt_error *err)
{
	int r = controller_service_begin(ctl, index, err);

	if (r)
		return r;
	while ((r = controller_service_look(ctl, index, err)) == -EAGAIN && ctl->stop <= STOP_METHOD)
		controller_turn(ctl, 0);
	return r;
}

void controller_services_free(struct controller *ctl)
{
	while (ctl->commands)
		controller_command_free(ctl, ctl->commands);
	for (size_t i = 0; ctl->services && i < ctl->plan->services.count; i++)
		output_free(ctl->services[i].output);
}
