/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameter tables: one row says all there is to know of a key, and everything
 * is made from it: parsing, range checks, defaults, errors with suggestions,
 * `brunt faults`, the JSON Schema, the reference pages.
 *
 * Tables are const. A row is made by a macro below, which refuses to compile
 * when the member has another type than the row says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "brunt/units.h"

struct brunt_arena;
struct brunt_diags;
struct brunt_doc;
struct brunt_error;

enum brunt_type {
	BRUNT_T_END,
	BRUNT_T_PLACE,	  /* no key: struct brunt_place, where this object stands */
	BRUNT_T_BOOL,	  /* bool */
	BRUNT_T_COUNT,	  /* uint64_t; a bare JSON integer */
	BRUNT_T_NUMBER,	  /* double; a bare JSON number */
	BRUNT_T_DURATION, /* uint64_t ns; "200ms" */
	BRUNT_T_RATIO,	  /* double 0..1; "30%" */
	BRUNT_T_SIZE,	  /* uint64_t bytes; "64MiB" */
	BRUNT_T_RATE,	  /* uint64_t bytes per second; "10mbit", or "100kbps", which is bytes as tc(8) has it */
	BRUNT_T_QUANTITY, /* struct brunt_quantity; a string with a unit, or a bare number */
	BRUNT_T_STRING,	  /* const char *; a string, or an array of lines joined by newlines */
	BRUNT_T_NAME,	  /* const char *; [A-Za-z0-9] then [A-Za-z0-9._-], at most 64 */
	BRUNT_T_PATH,	  /* const char *; made absolute against the plan's own folder */
	BRUNT_T_REGEX,	  /* const char *; a POSIX extended regular expression, checked */
	BRUNT_T_ENUM,	  /* int; one of .values */
	BRUNT_T_ERRNO,	  /* int; "ECONNREFUSED" or 1..4095 */
	BRUNT_T_SIGNAL,	  /* int; "SIGKILL", "KILL" or 1..64 */
	BRUNT_T_PICK,	  /* struct brunt_pick; 2, "50%" or "all" */
	BRUNT_T_ENDPOINT, /* struct brunt_endpoint; "10.0.0.0/8:5432/tcp", "[::1]:80", ":8080-8090" */
	BRUNT_T_OBJECT,	  /* pointer to a struct of .table, NULL when absent */
	BRUNT_T_ANY,	  /* json_t *, borrowed from the document: decoded by the caller */
	_BRUNT_T_MAX
};

enum brunt_shape {
	BRUNT_ONE,  /* the value itself */
	BRUNT_LIST, /* struct brunt_list of values; a JSON array (one bare value is taken as a list of one) */
	/* struct brunt_list of table structs; a JSON object, each key lands in the BRUNT_T_NAME row with key NULL */
	BRUNT_MAP,
	BRUNT_PAIRS, /* struct brunt_list of struct brunt_pair; a JSON object of strings (env, headers, labels) */
	/* struct brunt_ramp of a duration, ratio, count, number or rate; the bare value, or an object: from, to, in */
	BRUNT_RAMPED,
};

struct brunt_list {
	void *items; /* count elements of the row's type, in the arena */
	size_t count;
};

struct brunt_pair {
	const char *key;
	const char *value;
};

/*
 * A number that may move while its fault is held. "200ms" stands still: from = to, in_ns = 0. An object moves in a
 * straight line: { "from": "0ms", "to": "500ms", "in": "60s" }. In the type's base unit: ns, bytes/s, 0..1, a count.
 */
struct brunt_ramp {
	double from, to;
	uint64_t in_ns;
	bool set; /* the key was given; a default leaves it false */
};

/* What it is elapsed_ns after the fault was armed; from then on when in_ns has passed, to. */
double brunt_ramp_at(const struct brunt_ramp *ramp, uint64_t elapsed_ns);

/* Whether it ever changes. */
bool brunt_ramp_moves(const struct brunt_ramp *ramp);

struct brunt_table;

/* Whether any ramp of a decoded object (or of an object in it) moves; *ret_in_ns (may be NULL): how long until the last of them stands still. */
bool brunt_param_moves(const struct brunt_table *table, const void *object, uint64_t *ret_in_ns);

/* Where an object of the plan stands: for errors that are found after parsing. */
struct brunt_place {
	const struct brunt_doc *doc;
	const char *pointer; /* in the arena */
};

enum brunt_pick_kind { BRUNT_PICK_NONE, BRUNT_PICK_COUNT, BRUNT_PICK_SHARE, BRUNT_PICK_ALL };

struct brunt_pick {
	enum brunt_pick_kind kind;
	uint64_t count;
	double share; /* 0..1 */
};

#define BRUNT_HOST_SIZE 104

/* One end of a flow. What is left out matches everything. */
struct brunt_endpoint {
	uint8_t family;		     /* 0 any, 4, 6 */
	uint8_t prefix;		     /* bits of address that count */
	uint8_t protocol;	     /* IPPROTO_TCP, _UDP, _ICMP (with family 6 or 0 also ICMPv6); 0 any */
	uint8_t address[16];	     /* network order, host bits zero */
	uint16_t port_min, port_max; /* host order, inclusive; 0,0 any */
	char host[BRUNT_HOST_SIZE];  /* a name that stands for addresses, with family 0; "": none */
};

struct brunt_value { /* one word of an enumeration */
	const char *name;
	int value;
	const char *help;
};

struct brunt_param {
	const char *key; /* JSON key; NULL in the rows of a map's name and of a place */
	enum brunt_type type;
	enum brunt_shape shape;
	bool required;
	size_t offset;	 /* of the member */
	size_t set;	 /* offset of a bool that becomes true when the key was given; 0: none */
	double min, max; /* inclusive, in the type's base unit, bytes for text; max 0: only the type's own limit */
	const char *def; /* default, parsed by the same code as user input; NULL: zero */
	const struct brunt_value *values; /* BRUNT_T_ENUM: ends with { 0 } */
	const struct brunt_table *table;  /* BRUNT_T_OBJECT */
	bool names;			  /* BRUNT_T_ENDPOINT: host names are taken, too */
	size_t count_max;		  /* lists and maps: most elements; 0: 256 */
	const char *example;		  /* a right value, as JSON, for docs and messages; NULL: made from type */
	const char *help;		  /* one phrase, lower case, no full stop */
};

/* What a JSON object may hold. */
struct brunt_table {
	const char *name; /* "service": the heading in docs, the $defs key in the schema */
	const char *help;
	const struct brunt_param *params; /* ends with { 0 } */
	size_t size;			  /* of the struct */
	/* Checks one decoded object as a whole (exactly one of these keys; this needs that). 0, -EINVAL. May be NULL. */
	int (*validate)(const void *object, struct brunt_error *err);
};

/* One row of a table, one line. */
/* clang-format off */

/* offsetof() that refuses to compile when member m of struct S is not of type T */
#define BRUNT_FIELD(S, m, T) \
	(offsetof(S, m) + 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->m), T) ? 1 : -1]))

#define BRUNT_ROW(S, m, T, t, ...) { .key = #m, .type = (t), .offset = BRUNT_FIELD(S, m, T), __VA_ARGS__ }
#define BRUNT_BOOL(S, m, ...) BRUNT_ROW(S, m, bool, BRUNT_T_BOOL, __VA_ARGS__)
#define BRUNT_UINT(S, m, ...) BRUNT_ROW(S, m, uint64_t, BRUNT_T_COUNT, __VA_ARGS__)
#define BRUNT_NUMBER(S, m, ...) BRUNT_ROW(S, m, double, BRUNT_T_NUMBER, __VA_ARGS__)
#define BRUNT_DURATION(S, m, ...) BRUNT_ROW(S, m, uint64_t, BRUNT_T_DURATION, __VA_ARGS__)
#define BRUNT_RATIO(S, m, ...) BRUNT_ROW(S, m, double, BRUNT_T_RATIO, __VA_ARGS__)
#define BRUNT_SIZE(S, m, ...) BRUNT_ROW(S, m, uint64_t, BRUNT_T_SIZE, __VA_ARGS__)
#define BRUNT_RATE(S, m, ...) BRUNT_ROW(S, m, uint64_t, BRUNT_T_RATE, __VA_ARGS__)
/* A value of type t (BRUNT_T_DURATION, _RATIO, _COUNT, _NUMBER, _RATE) that the plan may move: struct brunt_ramp m */
#define BRUNT_RAMP(S, m, t, ...) \
	BRUNT_ROW(S, m, struct brunt_ramp, (t) + 0 * sizeof(char[BRUNT_CAN_RAMP(t) ? 1 : -1]), .shape = BRUNT_RAMPED, \
		  __VA_ARGS__)
#define BRUNT_CAN_RAMP(t) \
	((t) == BRUNT_T_DURATION || (t) == BRUNT_T_RATIO || (t) == BRUNT_T_COUNT || (t) == BRUNT_T_NUMBER || \
	 (t) == BRUNT_T_RATE)
#define BRUNT_QUANTITY(S, m, ...) BRUNT_ROW(S, m, struct brunt_quantity, BRUNT_T_QUANTITY, __VA_ARGS__)
#define BRUNT_STRING(S, m, ...) BRUNT_ROW(S, m, const char *, BRUNT_T_STRING, __VA_ARGS__)
#define BRUNT_NAME(S, m, ...) BRUNT_ROW(S, m, const char *, BRUNT_T_NAME, __VA_ARGS__)
#define BRUNT_PATH(S, m, ...) BRUNT_ROW(S, m, const char *, BRUNT_T_PATH, __VA_ARGS__)
#define BRUNT_REGEX(S, m, ...) BRUNT_ROW(S, m, const char *, BRUNT_T_REGEX, __VA_ARGS__)
#define BRUNT_ENUM(S, m, ...) BRUNT_ROW(S, m, int, BRUNT_T_ENUM, __VA_ARGS__)
#define BRUNT_ERRNO(S, m, ...) BRUNT_ROW(S, m, int, BRUNT_T_ERRNO, __VA_ARGS__)
#define BRUNT_SIGNAL(S, m, ...) BRUNT_ROW(S, m, int, BRUNT_T_SIGNAL, __VA_ARGS__)
#define BRUNT_PICK(S, m, ...) BRUNT_ROW(S, m, struct brunt_pick, BRUNT_T_PICK, __VA_ARGS__)
#define BRUNT_ENDPOINT(S, m, ...) BRUNT_ROW(S, m, struct brunt_endpoint, BRUNT_T_ENDPOINT, __VA_ARGS__)
/* A list of scalars of type t: BRUNT_LIST_OF(struct s, to, BRUNT_T_ENDPOINT, .help = ...) */
#define BRUNT_LIST_OF(S, m, t, ...) BRUNT_ROW(S, m, struct brunt_list, t, .shape = BRUNT_LIST, __VA_ARGS__)
/* An object of its own: struct x *m */
#define BRUNT_OBJECT(S, m, T, tab, ...) BRUNT_ROW(S, m, T *, BRUNT_T_OBJECT, .table = (tab), __VA_ARGS__)
#define BRUNT_OBJECTS(S, m, tab, ...) \
	BRUNT_ROW(S, m, struct brunt_list, BRUNT_T_OBJECT, .shape = BRUNT_LIST, .table = (tab), __VA_ARGS__)
#define BRUNT_OBJECT_MAP(S, m, tab, ...) \
	BRUNT_ROW(S, m, struct brunt_list, BRUNT_T_OBJECT, .shape = BRUNT_MAP, .table = (tab), __VA_ARGS__)
#define BRUNT_PAIR_LIST(S, m, ...) \
	BRUNT_ROW(S, m, struct brunt_list, BRUNT_T_STRING, .shape = BRUNT_PAIRS, __VA_ARGS__)
#define BRUNT_ANY(S, m, ...) BRUNT_ROW(S, m, json_t *, BRUNT_T_ANY, __VA_ARGS__)
/* The key under which a map's element stands */
#define BRUNT_KEY(S, m) { .type = BRUNT_T_NAME, .offset = BRUNT_FIELD(S, m, const char *) }
#define BRUNT_PLACE(S, m) { .type = BRUNT_T_PLACE, .offset = BRUNT_FIELD(S, m, struct brunt_place) }

#define BRUNT_FOREACH(T, it, list) \
	for (T *it = (list).items; it && it < (T *)(list).items + (list).count; it++)

/* clang-format on */

/* What decoding needs besides a value and its table. */
struct brunt_scope {
	struct brunt_arena *arena;
	const struct brunt_doc *doc; /* for places; may be NULL (then without) */
	struct brunt_diags *diags;
	const char *dir; /* the folder that relative paths are relative to */
};

/* A table, and the struct that its keys go to. */
struct brunt_part {
	const struct brunt_table *table;
	void *object; /* table->size bytes, zeroed by the caller */
};

/*
 * Decodes one JSON object whose keys belong to any of count tables (a step: the common keys, those of its kind,
 * those of its fault; a key of several is that of the last). Sets defaults, checks types and ranges, required keys, unknown keys (with a suggestion from
 * all the tables), then each table's validate. Goes on after an error: everything wrong lands in scope->diags.
 * 0, -EINVAL when anything was wrong, -ENOMEM.
 */
int brunt_param_decode(const struct brunt_scope *scope, json_t *object, const char *pointer,
		       const struct brunt_part *parts, size_t count);

/* Sets every default of a table, as decoding an empty object would; for tests and for faults given by hand. */
int brunt_param_defaults(const struct brunt_table *table, void *object, struct brunt_arena *arena,
			 struct brunt_error *err);

/*
 * What a person types on a command line, "delay=200ms", as the plan has it: puts the key and its JSON into object (that
 * stays the caller's). Elements of a list are separated by commas; what begins with { or [ is JSON as it is. 0, -EINVAL
 * with a phrase (no such key, with a suggestion; no value), -ENOMEM.
 */
int brunt_param_given(const struct brunt_table *table, const char *text, json_t *object, struct brunt_error *err);

/* Writes the decoded value of a row for a person ("30 %", "SIGKILL", "10.0.0.5:5432/tcp"); returns buf. */
const char *brunt_param_print(const struct brunt_param *param, const void *object, char *buf, size_t size);

/* What a row accepts, as a person would say it: "duration, such as \"200ms\"; at most 60 s". Returns buf. */
const char *brunt_param_accepts(const struct brunt_param *param, char *buf, size_t size);

/* JSON Schema (draft 2020-12) of one table; nested tables become references into $defs, put into defs. New reference. */
json_t *brunt_param_schema(const struct brunt_table *table, json_t *defs);

/* JSON Schema of one row's value. New reference. */
json_t *brunt_param_schema_value(const struct brunt_param *param, json_t *defs);

/* Names of signals and errnos, from one table each: "SIGKILL", "ECONNREFUSED"; NULL when unknown. */
const char *brunt_signal_name(int signal);
const char *brunt_errno_name(int code);

/*
 * Reads an endpoint; 0 or -EINVAL with a phrase. A name is kept as such, not looked up.
 *
 *   endpoint = [ host ] [ ":" ports ] [ "/" protocol ]		at least one of the three
 *   host     = v4 [ "/" bits ] | v6 [ "/" bits ]		v6 without brackets: no ports may follow
 *            | "[" v6 [ "/" bits ] "]" | "[" v6 "]" "/" bits
 *            | name						its last label begins with a letter
 *   ports    = port [ "-" port ]				1..65535
 *   protocol = "tcp" | "udp" | "icmp"				icmp has no ports
 *
 * Address bits beyond the prefix are an error that shows the right network.
 */
int brunt_endpoint_parse(const char *text, struct brunt_endpoint *ret, struct brunt_error *err);

/*
 * Writes an endpoint as it would be typed ("10.0.0.0/8:5432/tcp", "[fd00::/8]:80", ":8080-8090"; a prefix of all bits
 * is left out; "any" when everything matches); returns buf (80 bytes suffice, 128 with a name).
 */
const char *brunt_endpoint_print(const struct brunt_endpoint *endpoint, char *buf, size_t size);

/*
 * The endpoint as packets of one family (4 or 6) know it: IPv4-mapped IPv6 as IPv4, an endpoint of any family as all
 * addresses of this one, ICMPv6 as ICMP. false: it has no such side (or is a name).
 */
bool brunt_endpoint_of_family(const struct brunt_endpoint *from, uint8_t family, struct brunt_endpoint *ret);

/* Are all addresses of narrow addresses of wide? Both as of_family makes them; ports and protocol are not looked at. */
bool brunt_endpoint_contains(const struct brunt_endpoint *wide, const struct brunt_endpoint *narrow);

/*
 * Does wide match all that narrow matches: addresses, ports, protocol? Where wide is a name, it covers what bears the same
 * name; the address that narrow may have beside its name counts for everything else.
 */
bool brunt_endpoint_covers(const struct brunt_endpoint *wide, const struct brunt_endpoint *narrow);
