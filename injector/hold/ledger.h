/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share about ledgers. */
#pragma once

#include <stddef.h>

#define BRUNT_LEDGER_SUFFIX ".ledger"
#define BRUNT_CLAIM_SIZE    160

/* Takes the lock of a ledger for as long as the open file lives: 0, or -EAGAIN when somebody has it, -errno. */
int ledger_lock(int fd);

/* The file of a run's ledger. 0 or -ENAMETOOLONG. */
int ledger_path(char *buf, size_t size, const char *folder, const char *run);

struct brunt_error;
struct brunt_ledger_view;

/* brunt_ledger_read() of an open file; path is for messages and view->path. */
int ledger_read_open(int fd, const char *path, struct brunt_ledger_view *ret, struct brunt_error *err);

/* /proc/sys/kernel/random/boot_id without its newline. 0 or -errno. */
int ledger_boot_id(char *buf, size_t size);
