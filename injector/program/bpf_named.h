/* SPDX-License-Identifier: Apache-2.0 */
/* Programs under the run's name; for bpf.c and bpf_named.c. */
#pragma once

#include <bpf/libbpf.h>

struct brunt_bpf;
struct brunt_error;

/* Loads an object; every program that libbpf loads bears the run's name, and is in bpf->programs. 0 or -errno. */
int bpf_named_load(struct brunt_bpf *bpf, struct bpf_object_skeleton *skeleton, struct brunt_error *err);

/* Closes and frees them. */
void bpf_named_close(struct brunt_bpf *bpf);

/* bpf.c: says why something could not be loaded, with libbpf's last words. code: positive errno. */
int bpf_fail_load(int code, const char *what, struct brunt_error *err);
