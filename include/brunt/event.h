/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of a run: the one source of live view, summary, verdict and every
 * report. One JSON object a line. Each has "event", "at_ns" (CLOCK_BOOTTIME)
 * and "wall" (RFC 3339). docs/journal.md is made from this catalogue, and a
 * test holds what is emitted against it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#define BRUNT_JOURNAL_SCHEMA 1

struct brunt_event_field {
	const char *name; /* units in names: _ns, _ratio, _bytes */
	const char *type; /* "string", "integer", "number", "boolean", "array", "object", "number or null" */
	bool optional;
	const char *help;
};

struct brunt_event_kind {
	const char *name;
	const char *help;
	struct brunt_event_field fields[24]; /* ends with { 0 } */
};

/*
 *  name                 fields ([x]: optional)
 *  run.start            schema run plan plan_path [journal] [plan_sha256] seed pid brunt kernel user [dry] [description]
 *                       [lease_ns]
 *                       steps[{index name kind fault? on? hold_ns? background hits_min? noun? parent? undo? since?
 *                       pulse{on_ns off_ns}?}]
 *                       slis[{index name kind dimension has_value every_ns}]
 *                       conditions[{index kind text sli? of over_ns min? max? during? dimension after_within_ns?}]
 *                       services[{index name}] targets[{index name}] blast_radius{victims share_ratio duration_ns}
 *  role                 role pid            (started)
 *  role.end             role pid [status] expected
 *  phase                phase: preflight | services | start_if | before | method | revert | finally | after | end
 *  service.start        service pid
 *  service.ready        service took_ns
 *  service.end          service pid status expected restarting
 *  service.output       service line [dropped]
 *  target               target matched picked share_ratio victims items[{name picked pid? start?}]
 *  step.start           step
 *  step.end             step outcome(done | held | failed | missed | skipped | aborted | refused | error) [why] [took_ns]
 *  fault.applied        step mechanism [victims[names]]      (at_ns: when armed)
 *  fault.hits           step seen matched hit [breakdown] [near_miss]
 *  fault.pulse          step on              (at_ns: armed again, or read back as not in effect)
 *  fault.reverted       step reason(hold | step | abort | end | lapsed | signal | lost) clean hit [why]  (at_ns: read back)
 *  fault.lost           step why [target_gone]      (target_gone: no failure of the fault, it ran out of victims)
 *  sample               sli scheduled_ns took_ns [good] [value] [why]       (value null: infinite)
 *  condition            condition truth(holds | broken | unknown) [value] count bad phase [during]
 *  guardrail            condition [value] sample_ns why      (a breach: the run aborts)
 *  abort                cause(guardrail | signal | error | lease | controller | refused | unable | unsteady) why [signal]
 *  reverted             clean [faults] took_ns [since_ns]    (all faults gone; since_ns: of the breaching sample)
 *  step.output          step line
 *  finally              index name status [why]
 *  note                 text                                  (warnings: a role died, output dropped)
 *  verdict              verdict exit reasons[string]
 */
extern const struct brunt_event_kind brunt_event_kinds[]; /* ends with { 0 } */

/* A new event with event, at_ns (0: now) and wall set; NULL when memory is short or the name is unknown. */
json_t *brunt_event_new(const char *name, uint64_t at);

/* Checks an event against the catalogue: 0, or -EINVAL with the reason in err. */
struct brunt_error;
int brunt_event_check(const json_t *event, struct brunt_error *err);

/* Writes docs/journal.md. */
void brunt_event_reference(FILE *out);
