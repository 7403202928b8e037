/* SPDX-License-Identifier: Apache-2.0 */
/* The survey's inside: one run of the command in a process of its own, and several at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/error.h"
#include "survey/survey.h"
#include "syscall/keep.h"

#define SURVEY_JOBS_MAX 64

/* What a run is asked for. */
struct survey_task {
	const struct brunt_survey_options *options;
	const struct brunt_call_rule *rules;
	size_t rule_count; /* at most BRUNT_KEEP_RULES_MAX */
	uint64_t timeout;  /* ns */
	const char *base;  /* folder for copies of options->dir; or NULL */
	unsigned slot;
};

/* What it answers, in memory that is shared. */
struct survey_board {
	bool finished;
	bool lost; /* the keeper did not live through it: it says nothing */
	struct brunt_error why;
	struct brunt_survey_end end; /* texts without pointers until survey_board_end() */
	uint64_t matched[BRUNT_KEEP_RULES_MAX], hit[BRUNT_KEEP_RULES_MAX];
	uint64_t calls[BRUNT_CALLS_MAX]; /* all that the filter asks about */
	char out[BRUNT_SURVEY_KEPT], err[BRUNT_SURVEY_KEPT], checked[BRUNT_SURVEY_KEPT];
};

/* The end with its texts, which live as long as the board is not used again. */
struct brunt_survey_end survey_board_end(const struct survey_board *board);

/* Forks the process that makes one run. The board is its own until it exits. Returns its pidfd or -errno. */
int survey_run_start(const struct survey_task *task, struct survey_board *board, pid_t *ret_pid,
		     struct brunt_error *err);

/* ---- several at once ---- */

struct survey_pool {
	unsigned count;
	struct survey_slot {
		int pidfd; /* -1: idle */
		pid_t pid;
		uint64_t until; /* when it has outlived itself */
		uint64_t started;
		size_t work; /* what it does, the caller's number */
		struct survey_board *board;
	} slots[SURVEY_JOBS_MAX];
};

/* Makes room for count runs at once (or more than it had). 0 or -ENOMEM. */
int survey_pool_grow(struct survey_pool *pool, unsigned count, struct brunt_error *err);

/* Ends what still runs, with all descendants, and frees. */
void survey_pool_done(struct survey_pool *pool);

/* An idle slot among the first limit, or -1. */
int survey_pool_idle(const struct survey_pool *pool, unsigned limit);

/* Starts work in an idle slot. task->slot is set here. 0 or -errno. */
int survey_pool_start(struct survey_pool *pool, unsigned slot, struct survey_task *task, size_t work,
		      struct brunt_error *err);

/*
 * Waits, at most ms, for one of them to finish. Its number; -1: none yet; -2: stop became readable. stop may be -1. The
 * slot is idle then, its board as it was left.
 */
int survey_pool_wait(struct survey_pool *pool, int stop, int ms);

/* ---- what a run stands on ---- */

/* Kills all children and their descendants but spare, and waits for them: the caller is a subreaper. Bounded. */
void survey_kill_children(pid_t spare);

/*
 * Copies what is in a folder (files, folders, links; with modes) to another that exists; but for the folder without, where
 * the copies lie, should it be in there. 0 or -errno.
 */
int survey_tree_copy(const char *from, const char *to, const char *without, struct brunt_error *err);

/* Removes a folder with all that is in it, as far as may be. */
void survey_tree_remove(const char *path);

/* Takes bytes into a text: hash, size, and the beginning into kept (BRUNT_SURVEY_KEPT bytes). */
void survey_text_add(struct brunt_survey_text *text, char *kept, const char *bytes, size_t size);
void survey_text_begin(struct brunt_survey_text *text);
