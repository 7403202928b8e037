/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the BPF faults share: loading under brunt's own names, the control
 * block with the lease, counters, endpoint rules, and links that the kernel
 * drops with their holder.
 *
 * Every program, and the map of counters, is called "brunt_RUN" after the run
 * id, so that whoever looks for something left behind finds it by name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "../../bpf/match.h"
#include "brunt/error.h"
#include "brunt/param.h"
#include "brunt/target.h"

struct brunt_fault_context;
struct brunt_hits;
struct brunt_names;
struct brunt_names_params;
struct brunt_undo_record;

/* include/uapi/linux/bpf.h since 6.6; Debian 12's headers are of 6.1 */
#define BRUNT_BPF_TCX_INGRESS 46
#define BRUNT_BPF_TCX_EGRESS  47

/* Attaching one fault needs at most this many links. */
#define BRUNT_BPF_LINKS_MAX 768

enum brunt_bpf_place { BRUNT_BPF_CGROUP, BRUNT_BPF_INTERFACE, BRUNT_BPF_HOOK };

struct brunt_bpf_link {
	int fd;
	enum brunt_bpf_place place; /* what it is attached to */
};

/* A program as it is loaded, maps and all. */
struct brunt_bpf_code {
	struct bpf_insn *instructions;
	size_t count;
};

struct brunt_bpf {
	struct brunt_control *control; /* the program's own memory, mapped */
	int control_map;
	void *readback; /* control_size bytes: verify allocates nothing */
	size_t control_size;
	int counters; /* map "brunt_RUN" */
	int rules;
	struct brunt_counters *percpu; /* cpus elements: poll allocates nothing */
	int cpus;
	struct brunt_bpf_link *links;
	size_t link_count;
	int *programs;		      /* program_count descriptors, -1 where not loaded, in the object's order */
	struct brunt_bpf_code *codes; /* theirs */
	size_t program_count;
	char name[16];			     /* "brunt_RUN" */
	const char *mount;		     /* of cgroup v2, or NULL; borrowed from the run */
	const struct brunt_victims *victims; /* from prepare to detach */
	enum brunt_target_kind kind;	     /* of the victims */
	int processes; /* map of the victims' tgids (of the initial PID namespace), when kind is a process */
	size_t looked; /* the victim whose life poll looks at next */
	const struct brunt_list *ends[BRUNT_RULE_LISTS]; /* as the plan has them; NULL: none */
	const struct brunt_names_params *names_params;	 /* or NULL */
	struct brunt_names *names;			 /* NULL: no end bears a name */
	bool has_news;					 /* the names stand for other addresses now */
	bool names_due;					 /* addresses the holder heard of, to be written */
	struct brunt_error stale;			 /* why those addresses could not all be written; 0: they are */
	uint64_t patience;				 /* ns: how long prepare may wait for names */
};

/* May this process load and attach such programs? 0, -EPERM or -ENOTSUP with a sentence to act on. */
int brunt_bpf_probe(enum bpf_prog_type type, enum bpf_attach_type attach, struct brunt_error *err);

/* May it load programs for the hooks of security modules (lsm/), and are they called? Likewise. */
int brunt_bpf_probe_hooks(struct brunt_error *err);

/* From here on libbpf says nothing on stderr; what it complains of becomes part of our own messages. */
void brunt_bpf_silence(void);

/* Before bpf_object__load: silences libbpf, makes the named map of counters and has the object use it. */
int brunt_bpf_open(struct brunt_bpf *bpf, struct bpf_object *object, const struct brunt_fault_context *context,
		   struct brunt_error *err);

/*
 * Loads under our own names, finds the control block: the first object in the skeleton's .bss. seed and label
 * decide the random numbers of every CPU.
 */
int brunt_bpf_load(struct brunt_bpf *bpf, struct bpf_object_skeleton *skeleton, uint64_t seed, const char *label,
		   struct brunt_error *err);

/* The descriptor of a program by its C name, -1 when it was not loaded. */
int brunt_bpf_program(const struct brunt_bpf *bpf, const struct bpf_object *object, const char *name);
/* Its instructions, borrowed until unload; NULL when it was not loaded. libbpf's own copy is not that any more. */
const struct brunt_bpf_code *brunt_bpf_code(const struct brunt_bpf *bpf, const struct bpf_object *object,
					    const char *name);

/* Loads a program anew, in place of the one of that name, which was loaded: the new descriptor, or -errno. */
int brunt_bpf_reload(struct brunt_bpf *bpf, const struct bpf_object *object, const char *name, struct brunt_error *err);

/*
 * Writes one list of struct brunt_endpoint into the trie, in place of what that list was before, and marks it in the
 * control block. The list is borrowed until unload.
 */
int brunt_bpf_rules(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints,
		    struct brunt_error *err);

/* The same with other endpoints in place of those of the plan. */
int brunt_bpf_write_rules(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints,
			  struct brunt_error *err);

/*
 * Host names among the ends that were written so far: has them looked up. From then on prepare waits for their
 * addresses, and poll keeps up with them. params may be NULL, and is borrowed until unload.
 */
int brunt_bpf_names(struct brunt_bpf *bpf, const struct brunt_names_params *params,
		    const struct brunt_fault_context *context, struct brunt_error *err);

/* For prepare, once the victims are known, and for poll: the addresses of now. */
int brunt_bpf_names_prepare(struct brunt_bpf *bpf, struct brunt_error *err);
void brunt_bpf_names_poll(struct brunt_bpf *bpf);

/* Writes one address (or network) of a group, numbered from 1, into the trie; its ports and protocol mean nothing. */
int brunt_bpf_group(struct brunt_bpf *bpf, const struct brunt_endpoint *endpoint, uint32_t group,
		    struct brunt_error *err);

/* Attaches to a cgroup directory, beside whatever others have there. what names it in messages. */
int brunt_bpf_attach_cgroup(struct brunt_bpf *bpf, int program, int directory, enum bpf_attach_type type,
			    const char *what, struct brunt_error *err);
int brunt_bpf_attach_interface(struct brunt_bpf *bpf, int program, unsigned interface, int type, const char *what,
			       struct brunt_error *err);

/*
 * Attaches to the hook that the program was loaded for; it is called for everybody. what names it in messages. -ENOENT:
 * this kernel lets no program be attached a second time (Linux 5.10): load it anew.
 */
int brunt_bpf_attach_hook(struct brunt_bpf *bpf, int program, const char *what, struct brunt_error *err);

/* Loads a program that does nothing for a hook ("file_open"): 0; -ENOENT: there is no such hook; -EINVAL: this kernel takes no programs there; -errno. */
int brunt_bpf_try_hook(const struct btf *kernel, const char *hook);

/* What a program of a section lsm/ or iter/ is to be loaded for; 0: this kernel has no such thing. */
__u32 brunt_bpf_hook_id(const struct btf *kernel, const struct bpf_program *program);

/* Runs a program of a section iter/task_file once for each open descriptor, of this process at least; returns when done. */
int brunt_bpf_iterate(int program, struct brunt_error *err);

/* Does this kernel have tcx links (6.6)? Asks for one on an interface that cannot exist. */
bool brunt_bpf_has_tcx(int program);

/*
 * Where the network header of packets at these interfaces begins, for tc programs: enum brunt_network, UNKNOWN when they
 * differ or are of a kind that we don't know. victims: interfaces of our own network namespace.
 */
unsigned brunt_bpf_network(const struct brunt_victims *victims);

/* Opens the cgroup directory of an item and checks that it is still the one that was resolved. fd or -errno. */
int brunt_bpf_open_cgroup(const char *mount, const struct brunt_item *item, struct brunt_error *err);

/* Is item's cgroup also reached through another picked item (the same cgroup again, or one above it)? */
bool brunt_bpf_is_covered(const struct brunt_victims *victims, size_t index);

/* Is nothing left of the picked victims? false without victims. No allocation. */
bool brunt_bpf_all_gone(const char *mount, const struct brunt_victims *victims);

/* A probability as a program compares it: of 2^32; 0 never, 1 always, and nothing between becomes either. */
uint64_t brunt_bpf_chance(double probability);
void brunt_bpf_set_chance(struct brunt_bpf *bpf, double probability);

/* BPF sees the pids of the initial PID namespace: -ENOTSUP elsewhere. */
int brunt_bpf_check_pids(struct brunt_error *err);

/*
 * What every BPF fault does first in prepare: keeps the victims, of which there must be some (noun: "drop packets of"),
 * and fills in the record, which is for a person alone: the kernel undoes it.
 */
int brunt_bpf_prepare(struct brunt_bpf *bpf, const struct brunt_victims *victims, const char *noun,
		      struct brunt_undo_record *ret_undo, struct brunt_error *err);

/* In attach, of processes: puts the picked ones into the map, with that value. -ESRCH: one of them has ended. */
int brunt_bpf_mark_processes(struct brunt_bpf *bpf, __u32 value, struct brunt_error *err);

/* The lease. Stores, nothing else. */
void brunt_bpf_arm(struct brunt_bpf *bpf, uint64_t expires);
void brunt_bpf_renew(struct brunt_bpf *bpf, uint64_t expires);
void brunt_bpf_disarm(struct brunt_bpf *bpf);

/* Reads the control block back through the kernel: 0, or -EBUSY when it is armed. */
int brunt_bpf_verify(struct brunt_bpf *bpf, struct brunt_error *err);

/*
 * Programs know a process by its pid alone, which another gets once the kernel has been through all the others
 * (kernel/pid.c: alloc_pid() takes them in turn). Takes those of victims that ended out of the map; looks at some of them
 * each time, from *looked on. No allocation.
 */
void brunt_bpf_forget_dead(int processes, const struct brunt_victims *victims, size_t *looked);

/*
 * Adds up the counters, finds lost links; is the target gone? Takes the tgids of victims that ended out of the map: looks
 * at some of them each time.
 */
int brunt_bpf_poll(struct brunt_bpf *bpf, struct brunt_hits *ret);

/* "none to 10.0.0.5:5432": why nothing matched, into ret->near_miss. thing: "packet", "call". */
void brunt_bpf_near_miss(struct brunt_hits *ret, const char *thing, const struct brunt_list *to, double probability);

/* Closes the links, forgets the victims and their processes. */
void brunt_bpf_detach(struct brunt_bpf *bpf);
void brunt_bpf_unload(struct brunt_bpf *bpf);

/* Is a program of that run still there? 0, or -EBUSY: somebody holds it. Needs CAP_SYS_ADMIN; without: 0. */
int brunt_bpf_recover(const char *run, struct brunt_error *err);

/* Of struct brunt_injector, for a fault whose state begins with its struct brunt_bpf. */
int brunt_bpf_op_arm(void *state, uint64_t expires, struct brunt_error *err);
void brunt_bpf_op_renew(void *state, uint64_t expires);
void brunt_bpf_op_disarm(void *state);
int brunt_bpf_op_verify(void *state, struct brunt_error *err);
void brunt_bpf_op_detach(void *state);
bool brunt_bpf_op_news(void *state, char *buf, size_t size);
const struct brunt_names *brunt_bpf_op_names(const void *state);
int brunt_bpf_op_recover(const struct brunt_undo_record *undo, struct brunt_error *err);
