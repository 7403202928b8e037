/* SPDX-License-Identifier: Apache-2.0 */
/* What an SLI may say: one of five sources, and how its samples are taken. */
#include "plan/tables.h"

#include "base/text.h"

#include "brunt/error.h"
#include "brunt/plan.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <string.h>

/* "200", "2xx", "200-204" */
static bool status_is_right(const char *text)
{
	if (!isdigit((unsigned char)text[0]) || text[0] == '0')
		return false;
	if (strcmp(text + 1, "xx") == 0)
		return true;
	for (int i = 0; i < 3; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	if (!text[3])
		return true;
	return text[3] == '-' && strlen(text + 4) == 3 && strspn(text + 4, "0123456789") == 3 &&
	       strcmp(text + 4, "100") >= 0 && strncmp(text, text + 4, 3) <= 0;
}

static int validate_http(const void *object, struct brunt_error *err)
{
	const struct brunt_http_sli *http = object;
	char shown[BRUNT_QUOTE_SIZE];

	if (http->url && strncmp(http->url, "http://", 7) != 0 && strncmp(http->url, "https://", 8) != 0)
		return brunt_fail(err, EINVAL, "'url' must begin with http:// or https://");
	BRUNT_FOREACH (const char *, status, http->status)
		if (!status_is_right(*status))
			return brunt_fail(err, EINVAL, "'%s' is no status; write \"200\", \"2xx\" or \"200-204\"",
					  brunt_text_quote(*status, shown));
	if (http->value && http->value[0] && http->value[0] != '/')
		return brunt_fail(err, EINVAL, "'value' is a JSON Pointer: it begins with '/'; write \"/%s\"",
				  brunt_text_quote(http->value, shown));
	return 0;
}

static const struct brunt_param http_params[] = {
	BRUNT_STRING(struct brunt_http_sli, url, .required = true, .example = "\"http://127.0.0.1:8080/health\"",
		     .help = "what is asked"),
	BRUNT_STRING(struct brunt_http_sli, method, .def = "GET", .help = "request method"),
	BRUNT_PAIR_LIST(struct brunt_http_sli, headers, .example = "{ \"Host\": \"shop.example\" }",
			.help = "request headers"),
	BRUNT_STRING(struct brunt_http_sli, body, .help = "request body"),
	BRUNT_LIST_OF(struct brunt_http_sli, status, BRUNT_T_STRING, .count_max = 32, .example = "[\"2xx\", \"404\"]",
		      .help = "statuses of a good answer (\"200\", \"2xx\", \"200-204\"); 2xx and 3xx when left out"),
	BRUNT_REGEX(struct brunt_http_sli, match, .help = "a good answer's body matches this regular expression"),
	BRUNT_STRING(
		struct brunt_http_sli, value, .example = "\"/queue/length\"",
		.help = "JSON Pointer to a number in the answer: the value; when left out the value is the latency"),
	BRUNT_BOOL(struct brunt_http_sli, keep_alive, .help = "reuse connections; this can hide a failover"),
	BRUNT_BOOL(struct brunt_http_sli, insecure, .help = "do not verify the TLS certificate"),
	BRUNT_BOOL(struct brunt_http_sli, follow, .help = "follow redirects"),
	BRUNT_PATH(struct brunt_http_sli, unix_socket, .help = "connect to this unix socket instead of TCP"),
	{ 0 },
};

static const struct brunt_table http_table = {
	.name = "http",
	.help = "one HTTP request per sample, on a new connection unless told otherwise; good: the right status and body "
		"in time",
	.params = http_params,
	.size = sizeof(struct brunt_http_sli),
	.validate = validate_http,
};

static const struct brunt_param tcp_params[] = {
	BRUNT_STRING(struct brunt_tcp_sli, connect, .required = true, .example = "\"127.0.0.1:5432\"",
		     .help = "address and port: \"127.0.0.1:5432\", \"[::1]:80\", \"db.example:5432\""),
	{ 0 },
};

static int validate_tcp(const void *object, struct brunt_error *err)
{
	const struct brunt_tcp_sli *tcp = object;
	char shown[BRUNT_QUOTE_SIZE];

	if (tcp->connect && !brunt_address_is_right(tcp->connect))
		return brunt_fail(err, EINVAL, "'%s' is no address with a port; write \"127.0.0.1:80\" or \"[::1]:80\"",
				  brunt_text_quote(tcp->connect, shown));
	return 0;
}

static const struct brunt_table tcp_table = {
	.name = "tcp",
	.help = "one TCP connection per sample; good: it is accepted in time; the value is how long that took",
	.params = tcp_params,
	.size = sizeof(struct brunt_tcp_sli),
	.validate = validate_tcp,
};

static const struct brunt_param command_params[] = {
	BRUNT_LIST_OF(struct brunt_command_sli, run, BRUNT_T_STRING, .required = true, .count_max = 1024,
		      .example = "[\"pg_isready\", \"-q\"]",
		      .help = "program and arguments; a single string is run by /bin/sh -c"),
	BRUNT_STRING(struct brunt_command_sli, user, .help = "runs as this user; default as for a service"),
	BRUNT_BOOL(struct brunt_command_sli, number,
		   .help = "it prints a number: the value; else only its exit status counts"),
	{ 0 },
};

static const struct brunt_table command_table = {
	.name = "command",
	.help = "one command per sample; good: exit status 0 in time",
	.params = command_params,
	.size = sizeof(struct brunt_command_sli),
};

static const struct brunt_param lines_params[] = {
	BRUNT_NAME(struct brunt_lines_sli, of, .required = true, .example = "\"load\"",
		   .help = "the service whose output is read"),
	BRUNT_REGEX(struct brunt_lines_sli, good, .example = "\"^ok\"", .help = "a line that matches is a good sample"),
	BRUNT_REGEX(struct brunt_lines_sli, bad, .example = "\"^err\"", .help = "a line that matches is a bad sample"),
	BRUNT_REGEX(struct brunt_lines_sli, value, .example = "\"lat ([0-9.]+)\"",
		    .help = "regular expression with one group: the number"),
	BRUNT_STRING(struct brunt_lines_sli, unit, .example = "\"ms\"",
		     .help = "unit of that number; may stand beside `lines` as well"),
	{ 0 },
};

static int validate_lines(const void *object, struct brunt_error *err)
{
	const struct brunt_lines_sli *lines = object;
	regex_t regex;
	size_t groups;

	if (!lines->good && !lines->bad && !lines->value)
		return brunt_fail(err, EINVAL, "needs at least one of 'good', 'bad', 'value'");
	if (!lines->value || regcomp(&regex, lines->value, REG_EXTENDED) != 0)
		return 0;
	groups = regex.re_nsub;
	regfree(&regex);
	if (groups < 1)
		return brunt_fail(err, EINVAL, "'value' needs a group around the number: \"([0-9.]+)\"");
	return 0;
}

static const struct brunt_table lines_table = {
	.name = "lines",
	.help = "every line of a service's output that matches is a sample: this is how a load generator is heard",
	.params = lines_params,
	.size = sizeof(struct brunt_lines_sli),
	.validate = validate_lines,
};

static const struct brunt_param process_params[] = {
	BRUNT_NAME(struct brunt_process_sli, target, .required = true, .example = "\"workers\"",
		   .help = "the target that is counted; the value is how many are alive"),
	BRUNT_UINT(struct brunt_process_sli, min, .def = "1", .help = "good: at least so many are alive"),
	{ 0 },
};

static const struct brunt_table process_table = {
	.name = "process_sli",
	.help = "is it alive, how many are there",
	.params = process_params,
	.size = sizeof(struct brunt_process_sli),
};

static const struct brunt_value no_data_values[] = {
	{ "breach", BRUNT_NO_DATA_BREACH, "the bound is broken" },
	{ "hold", BRUNT_NO_DATA_HOLD, "the last judgement stands" },
	{ "ok", BRUNT_NO_DATA_OK, "the bound holds" },
	{ "0", BRUNT_NO_DATA_ZERO, "as a value of 0" },
	{ 0 },
};

static int validate_sli(const void *object, struct brunt_error *err)
{
	const struct brunt_sli *sli = object;
	int given = !!sli->http + !!sli->tcp + !!sli->command + !!sli->lines + !!sli->process;

	if (given != 1)
		return brunt_fail(err, EINVAL, "needs exactly one of 'http', 'tcp', 'command', 'lines', 'process'");
	return 0;
}

static const struct brunt_param sli_params[] = {
	BRUNT_KEY(struct brunt_sli, name),
	BRUNT_PLACE(struct brunt_sli, place),
	BRUNT_OBJECT(struct brunt_sli, http, struct brunt_http_sli, &http_table, .help = "an HTTP request"),
	BRUNT_OBJECT(struct brunt_sli, tcp, struct brunt_tcp_sli, &tcp_table, .help = "a TCP connection"),
	BRUNT_OBJECT(struct brunt_sli, command, struct brunt_command_sli, &command_table, .help = "a command"),
	BRUNT_OBJECT(struct brunt_sli, lines, struct brunt_lines_sli, &lines_table,
		     .help = "lines of a service's output"),
	BRUNT_OBJECT(struct brunt_sli, process, struct brunt_process_sli, &process_table,
		     .help = "how many of a target are alive"),
	BRUNT_DURATION(struct brunt_sli, every, .def = "1s", .min = 10e6, .max = 3600e9,
		       .help = "time between samples; `lines`: how often at least a line is expected"),
	BRUNT_DURATION(struct brunt_sli, timeout, .def = "1s", .min = 1e6, .max = 3600e9,
		       .help = "a sample without an answer by then is bad, at its scheduled time"),
	BRUNT_STRING(struct brunt_sli, unit, .example = "\"ms\"",
		     .help = "unit of the value, where that is not a latency; a plain number when left out"),
	BRUNT_ENUM(struct brunt_sli, no_data, .values = no_data_values, .def = "breach",
		   .help = "what no sample for three periods means"),
	{ 0 },
};

const struct brunt_table brunt_sli_table = {
	.name = "sli",
	.help = "a service level indicator: samples with a good/bad flag, a value, or both; exactly one source",
	.params = sli_params,
	.size = sizeof(struct brunt_sli),
	.validate = validate_sli,
};
