/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's end of the holder: verbs go out, reports come in, and the
 * lease is renewed for as long as this loop turns.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "brunt/clock.h"
#include "run/controller.h"

#define REVERT_ANSWERED_WITHIN (1500 * BRUNT_MS)

uint64_t controller_verb(struct controller *ctl, enum brunt_verb_kind kind, uint32_t index)
{
	struct brunt_verb verb = { .kind = kind, .index = index, .sequence = ++ctl->sequence };

	if (ctl->holder < 0)
		return 0;
	/* A full socket means a holder that does not read: its own lease ends it. Renewals may be lost, verbs are
	 * few enough never to fill it alone. */
	if (send(ctl->holder, &verb, sizeof(verb), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(verb))
		return 0;
	return verb.sequence;
}

static void send_revert_all(struct controller *ctl)
{
	ctl->revert_sent =
		controller_verb(ctl, BRUNT_VERB_REVERT_ALL, ctl->revert_aborts ? BRUNT_REVERT_ABORT : 0) != 0;
	if (!ctl->revert_sent && ctl->holder < 0)
		ctl->reverted_all = true;
}

void controller_revert_all(struct controller *ctl, bool abort)
{
	/* A revert that goes on in peace may still become an abort. */
	if (ctl->revert_asked && (!abort || ctl->revert_aborts || ctl->reverted_all))
		return;
	ctl->revert_aborts |= abort;
	if (!ctl->revert_asked)
		ctl->revert_asked = brunt_now();
	send_revert_all(ctl);
}

static void on_item(struct controller *ctl, const struct brunt_report *report)
{
	if (report->index >= ctl->plan->targets.count)
		return;
	if (!ctl->items[report->index])
		ctl->items[report->index] = json_array();

	json_t *item = json_pack("{s:s, s:b}", "name", report->text, "picked", !!(report->flags & BRUNT_REPORT_PICKED));

	if (item && report->pid) {
		(void)json_object_set_new(item, "pid", json_integer(report->pid));
		(void)json_object_set_new(item, "start", json_integer((json_int_t)report->start));
	}
	(void)json_array_append_new(ctl->items[report->index], item);
}

static void on_resolved(struct controller *ctl, const struct brunt_report *report)
{
	if (report->index >= ctl->plan->targets.count || report->code)
		return;

	const struct brunt_target *target = (const struct brunt_target *)ctl->plan->targets.items + report->index;
	json_t *items = ctl->items[report->index] ? ctl->items[report->index] : json_array();

	ctl->items[report->index] = NULL;
	controller_emit(ctl, "target", report->at, "{s:s, s:I, s:I, s:f, s:I, s:o}", "target", target->name, "matched",
			(json_int_t)report->matched, "picked", (json_int_t)report->picked, "share_ratio", report->share,
			"victims", (json_int_t)report->victims, "items", items);
}

static void on_hits(struct controller *ctl, const struct brunt_report *report)
{
	const struct brunt_hits *hits = &report->hits;

	if (report->index >= ctl->plan->step_count)
		return;

	ctl->steps[report->index].hit = hits->hit;

	json_t *fields =
		json_pack("{s:s, s:I, s:I, s:I}", "step", ctl->plan->steps[report->index]->name, "seen",
			  (json_int_t)hits->seen, "matched", (json_int_t)hits->matched, "hit", (json_int_t)hits->hit);

	if (fields && hits->unwanted)
		(void)json_object_set_new(fields, "unwanted", json_integer((json_int_t)hits->unwanted));
	if (fields && hits->breakdown[0])
		(void)json_object_set_new(fields, "breakdown", json_string(hits->breakdown));
	if (fields && hits->near_miss[0])
		(void)json_object_set_new(fields, "near_miss", json_string(hits->near_miss));
	controller_emit_fields(ctl, "fault.hits", report->at, fields);
}

static void on_alive(struct controller *ctl, const struct brunt_report *report)
{
	const struct brunt_target *targets = ctl->plan->targets.items;

	if (report->index >= ctl->plan->targets.count || report->code)
		return;
	for (uint32_t i = 0; i < ctl->plan->condition_count; i++) {
		if (ctl->plan->conditions[i]->resolved_target != &targets[report->index])
			continue;
		ctl->alive[i] = report->matched;
		ctl->alive_known[i] = true;
	}
}

/* A target that ended is what the experiment is about; a link that was taken away is not. */
static void on_lost(struct controller *ctl, const struct brunt_report *report)
{
	if (report->index < ctl->plan->step_count)
		controller_emit(ctl, "fault.lost", report->at, "{s:s, s:s, s:b}", "step",
				ctl->plan->steps[report->index]->name, "why", report->text, "target_gone",
				report->hits.target_gone);
	if (!report->hits.target_gone)
		controller_stop(ctl, STOP_ERROR, "a fault was lost while held: %s", report->text);
}

static void on_reverted_all(struct controller *ctl, const struct brunt_report *report)
{
	ctl->reverted_all = true;
	ctl->residue |= report->code == -EBUSY;
	if (!ctl->first_applied || ctl->reverted)
		return;
	ctl->reverted = report->at;

	json_t *fields = json_pack("{s:b, s:I}", "clean", !ctl->residue, "took_ns",
				   (json_int_t)(report->at > ctl->revert_asked ? report->at - ctl->revert_asked : 0));

	if (fields && ctl->breach_sample)
		(void)json_object_set_new(fields, "since_ns", json_integer((json_int_t)ctl->breach_sample));
	controller_emit_fields(ctl, "reverted", report->at, fields);
}

static void on_report(struct controller *ctl, const struct brunt_report *report)
{
	switch ((enum brunt_report_kind)report->kind) {
	case BRUNT_REPORT_PREPARED:
		ctl->prepared = true;
		ctl->prepared_code = report->code;
		(void)snprintf(ctl->prepared_text, sizeof(ctl->prepared_text), "%s", report->text);
		break;
	case BRUNT_REPORT_ITEM:
		on_item(ctl, report);
		break;
	case BRUNT_REPORT_RESOLVED:
		on_resolved(ctl, report);
		break;
	case BRUNT_REPORT_APPLIED:
		if (report->index < ctl->plan->step_count)
			controller_step_applied(ctl, report->index, report);
		break;
	case BRUNT_REPORT_REVERTED:
		if (report->index < ctl->plan->step_count)
			controller_step_reverted(ctl, report->index, report);
		break;
	case BRUNT_REPORT_REVERTED_ALL:
		on_reverted_all(ctl, report);
		break;
	case BRUNT_REPORT_HITS:
		on_hits(ctl, report);
		break;
	case BRUNT_REPORT_ALIVE:
		on_alive(ctl, report);
		break;
	case BRUNT_REPORT_LOST:
		on_lost(ctl, report);
		break;
	case BRUNT_REPORT_PULSE:
		if (report->index < ctl->plan->step_count)
			controller_emit(ctl, "fault.pulse", report->at, "{s:s, s:b}", "step",
					ctl->plan->steps[report->index]->name, "on",
					!!(report->flags & BRUNT_REPORT_ON));
		break;
	case BRUNT_REPORT_NEWS:
		if (report->index < ctl->plan->step_count)
			controller_emit(ctl, "fault.news", report->at, "{s:s, s:s}", "step",
					ctl->plan->steps[report->index]->name, "text", report->text);
		break;
	case BRUNT_REPORT_LAPSED:
		controller_stop(ctl, STOP_LEASE,
				"the lease ran out: the controller was stopped or starved for longer "
				"than the lease; everything was reverted");
		break;
	case BRUNT_REPORT_ENDED:
		ctl->holder_ended = true;
		ctl->residue |= report->code == -EBUSY;
		break;
	case BRUNT_REPORT_POLLED:
		break;
	}
}

static int on_holder(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct controller *ctl = user;
	struct brunt_report report;

	(void)revents;
	for (;;) {
		ssize_t size = recv(fd, &report, sizeof(report), MSG_DONTWAIT);

		if (size == (ssize_t)sizeof(report)) {
			report.text[sizeof(report.text) - 1] = '\0';
			report.hits.breakdown[sizeof(report.hits.breakdown) - 1] = '\0';
			report.hits.near_miss[sizeof(report.hits.near_miss) - 1] = '\0';
			on_report(ctl, &report);
			continue;
		}
		/*
		 * It ended before it read our last renewal: unix_release_sock() leaves ECONNRESET, which is told once, and
		 * first; what it had said before waits behind that.
		 */
		if (size < 0 && errno == ECONNRESET)
			continue;
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		break;
	}
	/* End of file: the holder is gone, and with it all that it held. */
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	ctl->holder = -1;
	controller_emit(ctl, "role.end", 0, "{s:s, s:i, s:b}", "role", "holder", "pid",
			(int)ctl->shared->pid[BRUNT_ROLE_HOLDER], "expected", ctl->holder_ended);
	if (!ctl->holder_ended) {
		ctl->reverted_all = true;
		controller_stop(ctl, STOP_ERROR, "the holder died; the kernel took back what it held");
	}
	return 0;
}

static int on_renew(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *ctl = user;
	/* How soon a lost or restarted victim is noticed (at every third) must not depend on a long lease. */
	uint64_t interval = (ctl->plan->lease < 500 * BRUNT_MS ? ctl->plan->lease : 500 * BRUNT_MS) / 5 / 1000;

	(void)usec;
	/*
	 * A revert that did not fit into the socket is asked for again; one that is not answered is left to the lease,
	 * and a lease ends only when nobody renews it.
	 */
	if (ctl->revert_asked && !ctl->revert_sent)
		send_revert_all(ctl);
	if (!ctl->revert_asked || ctl->reverted_all || brunt_now() < ctl->revert_asked + REVERT_ANSWERED_WITHIN)
		(void)controller_verb(ctl, BRUNT_VERB_RENEW, 0);
	if (ctl->held || ctl->first_applied)
		(void)(++ctl->renewed % 3 || !controller_verb(ctl, BRUNT_VERB_POLL, 0));
	(void)sd_event_source_set_time(source, brunt_now() / 1000 + interval);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int controller_holding_start(struct controller *ctl, struct brunt_error *err)
{
	int r = sd_event_add_io(ctl->loop, NULL, ctl->holder, EPOLLIN, on_holder, ctl);

	if (r >= 0)
		r = sd_event_add_time(ctl->loop, NULL, CLOCK_BOOTTIME, brunt_now() / 1000, 1000, on_renew, ctl);
	return r < 0 ? brunt_fail(err, -r, "cannot watch the holder") : 0;
}
