/* SPDX-License-Identifier: Apache-2.0 */
/* What a service, a `finally` command, the blast radius and a variable may say. */
#include "plan/tables.h"

#include "network/protect.h"

#include "base/text.h"

#include "brunt/error.h"
#include "brunt/plan.h"

#include <errno.h>
#include <string.h>

static int validate_ready(const void *object, struct brunt_error *err)
{
	const struct brunt_ready *ready = object;
	char shown[BRUNT_QUOTE_SIZE];
	int given = !!ready->tcp + !!ready->http + !!ready->file + !!ready->line;

	if (given != 1)
		return brunt_fail(err, EINVAL, "needs exactly one of 'tcp', 'http', 'file', 'line'");
	if (ready->tcp && !brunt_address_is_right(ready->tcp))
		return brunt_fail(err, EINVAL, "'%s' is no address with a port; write \"127.0.0.1:80\" or \"[::1]:80\"",
				  brunt_text_quote(ready->tcp, shown));
	if (ready->http && strncmp(ready->http, "http://", 7) != 0 && strncmp(ready->http, "https://", 8) != 0)
		return brunt_fail(err, EINVAL, "'http' must begin with http:// or https://");
	return 0;
}

static const struct brunt_param ready_params[] = {
	BRUNT_STRING(struct brunt_ready, tcp, .example = "\"127.0.0.1:8080\"",
		     .help = "ready when this address accepts a connection"),
	BRUNT_STRING(struct brunt_ready, http, .example = "\"http://127.0.0.1:8080/health\"",
		     .help = "ready when this URL answers with any 2xx or 3xx"),
	BRUNT_PATH(struct brunt_ready, file, .example = "\"/run/app.pid\"", .help = "ready when this file exists"),
	BRUNT_REGEX(struct brunt_ready, line, .example = "\"^listening\"",
		    .help = "ready when a line of its output matches this regular expression"),
	BRUNT_DURATION(struct brunt_ready, within, .def = "10s", .min = 1e6, .max = 3600e9, .help = "give up after"),
	{ 0 },
};

static const struct brunt_table ready_table = {
	.name = "ready",
	.help = "how brunt knows that a service can be used; exactly one of `tcp`, `http`, `file`, `line`",
	.params = ready_params,
	.size = sizeof(struct brunt_ready),
	.validate = validate_ready,
};

static const struct brunt_param service_params[] = {
	BRUNT_KEY(struct brunt_service, name),
	BRUNT_PLACE(struct brunt_service, place),
	BRUNT_LIST_OF(struct brunt_service, prepare, BRUNT_T_STRING, .count_max = 64,
		      .example = "[\"mkdir -p /tmp/app\"]",
		      .help = "shell lines that run once, in order, before its first start"),
	BRUNT_LIST_OF(struct brunt_service, run, BRUNT_T_STRING, .required = true, .count_max = 1024,
		      .example = "[\"nginx\", \"-g\", \"daemon off;\"]",
		      .help = "program and arguments; a single string is run by /bin/sh -c"),
	BRUNT_PAIR_LIST(struct brunt_service, env, .example = "{ \"PORT\": \"8080\" }",
			.help = "environment variables, added to those of brunt"),
	BRUNT_PATH(struct brunt_service, cwd, .example = "\"www\"",
		   .help = "working directory; the folder of the file that defines it when left out"),
	BRUNT_STRING(struct brunt_service, user, .example = "\"www-data\"",
		     .help = "runs as this user; when left out: who called sudo, as root nobody, else oneself"),
	BRUNT_OBJECT(struct brunt_service, ready, struct brunt_ready, &ready_table,
		     .help = "what to wait for before it counts as started; when left out it is ready at once"),
	BRUNT_LIST_OF(struct brunt_service, after, BRUNT_T_NAME, .count_max = 64, .example = "[\"database\"]",
		      .help = "services that must be ready before this one is started"),
	BRUNT_DURATION(struct brunt_service, restart, .set = offsetof(struct brunt_service, has_restart), .max = 3600e9,
		       .example = "\"200ms\"",
		       .help = "when it ends, start it again after; not restarted when left out"),
	BRUNT_BOOL(struct brunt_service, may_exit, .help = "its end is no failure of the run"),
	BRUNT_BOOL(struct brunt_service, manual, .help = "not started before the method, only by a `start` step"),
	{ 0 },
};

const struct brunt_table brunt_service_table = {
	.name = "service",
	.help = "a process that the experiment needs: a server, a load generator, a checker; brunt starts it and ends "
		"it, and it dies with brunt",
	.params = service_params,
	.size = sizeof(struct brunt_service),
};

static const struct brunt_param finally_params[] = {
	BRUNT_PLACE(struct brunt_finally, place),
	BRUNT_NAME(struct brunt_finally, name, .help = "what the output calls it; `finally-1` and so on when left out"),
	BRUNT_LIST_OF(struct brunt_finally, run, BRUNT_T_STRING, .required = true, .count_max = 1024,
		      .example = "[\"./rejoin.sh\"]",
		      .help = "program and arguments; a single string is run by /bin/sh -c"),
	BRUNT_DURATION(struct brunt_finally, timeout, .def = "1m", .min = 1e6, .max = 86400e9,
		       .help = "killed when it takes longer"),
	BRUNT_STRING(struct brunt_finally, user, .help = "runs as this user; default as for a service"),
	{ 0 },
};

const struct brunt_table brunt_finally_table = {
	.name = "finally",
	.help = "a command that always runs after the undo, in order, whatever the verdict",
	.params = finally_params,
	.size = sizeof(struct brunt_finally),
};

static const struct brunt_value ways[] = {
	{ "ssh", BRUNT_WAY_SSH, "the SSH session that brunt was started from" },
	{ "resolver", BRUNT_WAY_RESOLVER, "this host's way to its name servers" },
	{ 0 },
};

static const struct brunt_param blast_radius_params[] = {
	BRUNT_UINT(struct brunt_blast_radius, victims, .def = "1", .min = 1, .max = 1e6,
		   .help = "most items that may be hit, counted over the whole run"),
	BRUNT_RATIO(struct brunt_blast_radius, share, .def = "100%", .example = "\"50%\"",
		    .help = "most of what a target matches that one step may hit"),
	BRUNT_DURATION(struct brunt_blast_radius, duration, .def = "5m", .min = 1e6, .max = 7 * 86400e9,
		       .help = "most time from the first fault to the end of the method; longer is an abort"),
	BRUNT_LIST_OF(struct brunt_blast_radius, may_cut, BRUNT_T_ENUM, .values = ways, .count_max = 2,
		      .example = "[\"ssh\"]",
		      .help = "what a network fault may cut off although this host is hard to use without it; refused "
			      "when left out"),
	{ 0 },
};

const struct brunt_table brunt_blast_radius_table = {
	.name = "blast_radius",
	.help = "the limits of the damage; what would go beyond is refused",
	.params = blast_radius_params,
	.size = sizeof(struct brunt_blast_radius),
};

static const struct brunt_param variable_params[] = {
	BRUNT_KEY(struct brunt_variable, name),
	BRUNT_PLACE(struct brunt_variable, place),
	BRUNT_STRING(struct brunt_variable, env, .example = "\"PGPASSWORD\"",
		     .help = "take it from this environment variable, if set"),
	BRUNT_PATH(struct brunt_variable, file, .example = "\"/run/secrets/pg\"",
		   .help = "else from this file, without its last newline, if it exists"),
	{ .key = "default",
	  .type = BRUNT_T_STRING,
	  .offset = BRUNT_FIELD(struct brunt_variable, fallback, const char *),
	  .help = "else this text" },
	BRUNT_BOOL(struct brunt_variable, secret,
		   .help = "never shown: not in output, journal or messages; cannot be given by --var, nor stand in a "
			   "command line (`run`, `prepare`)"),
	{ 0 },
};

const struct brunt_table brunt_variable_table = {
	.name = "variable",
	.help = "a value for `${name}` in any string of the plan (`$$` is a literal `$`); --var and --var-file come first",
	.params = variable_params,
	.size = sizeof(struct brunt_variable),
};
