/* SPDX-License-Identifier: Apache-2.0 */
#include "program/bpf.h"
#include "program/bpf_named.h"
#include "network/names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/target.h"

/* include/linux/proc_ns.h: PROC_PID_INIT_INO, the inode of the first PID namespace */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU

#define LOOKS		      64 /* at victims, in one poll: some us each */

/* What libbpf last complained of: it says it once, on its way down, and then returns a bare errno. */
static _Thread_local char reason[160];

static bool is_noise(const char *line)
{
	return !line[0] || strstr(line, "-- BEGIN") || strstr(line, "-- END") ||
	       strstr(line, "failed to load object") || strstr(line, "BPF skeleton") || strstr(line, "processed ") ||
	       strstr(line, "failed to load: ");
}

static int keep_reason(enum libbpf_print_level level, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));
static int keep_reason(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char text[512];

	if (level != LIBBPF_WARN)
		return 0;
	(void)vsnprintf(text, sizeof(text), format, arguments);
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!strncmp(line, "libbpf: ", 8))
			line += 8;
		if (!is_noise(line))
			(void)snprintf(reason, sizeof(reason), "%.*s", (int)sizeof(reason) - 1, line);
	}
	return 0;
}

int bpf_fail_load(int code, const char *what, struct brunt_error *err)
{
	if (code == EPERM || code == EACCES)
		return brunt_fail(
			err, EPERM,
			"BPF is not permitted here (%s): needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, run as root",
			what);
	if (code == ENOMEM)
		return brunt_fail(err, ENOMEM, "no memory for %s; a small RLIMIT_MEMLOCK does this before Linux 5.11",
				  what);
	return brunt_fail(err, code, "cannot load %s: %s%s%s", what, strerror(code), reason[0] ? ": " : "", reason);
}

void brunt_bpf_silence(void)
{
	libbpf_set_print(keep_reason);
	reason[0] = '\0';
}

int brunt_bpf_probe(enum bpf_prog_type type, enum bpf_attach_type attach, struct brunt_error *err)
{
	/* r0 = 1; exit */
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
	union bpf_attr none;
	int fd, map;

	brunt_bpf_silence();
	memset(&none, 0, sizeof(none));
	fd = bpf_prog_load(type, "brunt_probe", "Dual BSD/GPL", pass, BRUNT_COUNT(pass), &options);
	if (fd == -EINVAL)
		return brunt_fail(err, ENOTSUP,
				  "this kernel lacks the BPF program type that is needed (CONFIG_CGROUP_BPF)");
	if (fd == -ENOSYS)
		return brunt_fail(err, ENOTSUP, "this kernel is built without BPF (CONFIG_BPF_SYSCALL)");
	if (fd < 0)
		return bpf_fail_load(-fd, "a BPF program", err);
	close(fd);
	map = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "brunt_probe", 4, 8, 1, NULL);
	if (map < 0)
		return bpf_fail_load(-map, "a BPF map", err);
	close(map);
	return 0;
}

int brunt_bpf_open(struct brunt_bpf *bpf, struct bpf_object *object, const struct brunt_fault_context *context,
		   struct brunt_error *err)
{
	struct bpf_map *counters = bpf_object__find_map_by_name(object, "brunt_counters");
	struct bpf_map *rules = bpf_object__find_map_by_name(object, "brunt_rules");
	int fd, r;

	brunt_bpf_silence();
	(void)snprintf(bpf->name, sizeof(bpf->name), "brunt_%.8s", context->run);
	bpf->mount = context->cgroup_mount;
	bpf->processes = -1;
	if (!counters || !rules)
		return brunt_fail(err, EINVAL, "the BPF object has no counters");
	bpf->cpus = libbpf_num_possible_cpus();
	if (bpf->cpus <= 0)
		return brunt_fail(err, EIO, "cannot count the CPUs: %s", strerror(-bpf->cpus));
	bpf->percpu = calloc((size_t)bpf->cpus, sizeof(*bpf->percpu));
	bpf->links = calloc(BRUNT_BPF_LINKS_MAX, sizeof(*bpf->links));
	if (!bpf->percpu || !bpf->links)
		return brunt_fail(err, ENOMEM, "no memory for BPF counters");
	fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, bpf->name, sizeof(__u32), sizeof(struct brunt_counters), 1,
			    NULL);
	if (fd < 0)
		return bpf_fail_load(-fd, "a BPF map", err);
	r = bpf_map__reuse_fd(counters, fd);
	close(fd);
	if (r)
		return brunt_fail(err, -r, "cannot use the map of counters: %s", strerror(-r));
	bpf->counters = bpf_map__fd(counters);
	return 0;
}

static int seed_counters(struct brunt_bpf *bpf, uint64_t seed, const char *label, struct brunt_error *err)
{
	struct brunt_random random;
	__u32 zero = 0;

	brunt_random_seed(&random, seed, label);
	for (int i = 0; i < bpf->cpus; i++)
		bpf->percpu[i] = (struct brunt_counters){ .random = brunt_random_next(&random) | 1 };
	if (bpf_map_update_elem(bpf->counters, &zero, bpf->percpu, BPF_ANY))
		return brunt_fail(err, errno, "cannot seed the BPF counters: %s", strerror(errno));
	return 0;
}

int brunt_bpf_load(struct brunt_bpf *bpf, struct bpf_object_skeleton *skeleton, uint64_t seed, const char *label,
		   struct brunt_error *err)
{
	struct bpf_object *object = *skeleton->obj;
	int r;

	reason[0] = '\0';
	r = bpf_named_load(bpf, skeleton, err);
	if (r)
		return r;
	bpf->rules = bpf_map__fd(bpf_object__find_map_by_name(object, "brunt_rules"));
	for (int i = 0; i < skeleton->map_cnt; i++) {
		const struct bpf_map *map = *skeleton->maps[i].map;
		const char *suffix = strstr(bpf_map__name(map), ".bss");

		if (!suffix || suffix[4] || !skeleton->maps[i].mmaped)
			continue;
		bpf->control_map = bpf_map__fd(map);
		bpf->control_size = bpf_map__value_size(map);
		bpf->control = *skeleton->maps[i].mmaped;
	}
	if (!bpf->control)
		return brunt_fail(err, EINVAL, "the BPF object has no control block");
	bpf->readback = calloc(1, bpf->control_size);
	if (!bpf->readback)
		return brunt_fail(err, ENOMEM, "no memory for the control block");
	return seed_counters(bpf, seed, label, err);
}

static int keep_link(struct brunt_bpf *bpf, int fd, enum brunt_bpf_place place)
{
	bpf->links[bpf->link_count++] = (struct brunt_bpf_link){ .fd = fd, .place = place };
	return 0;
}

static int fail_attach(int code, const char *what, struct brunt_error *err)
{
	switch (code) {
	case EPERM:
		return brunt_fail(err, EPERM,
				  "may not attach to '%s': needs CAP_NET_ADMIN, or somebody attached a program there "
				  "that allows no other",
				  what);
	case E2BIG:
		return brunt_fail(err, E2BIG, "too many BPF programs are attached to '%s' already", what);
	case ENODEV:
	case ENOENT:
		return brunt_fail(err, ESRCH, "'%s' is gone", what);
	default:
		return brunt_fail(err, code, "cannot attach to '%s': %s", what, strerror(code));
	}
}

int brunt_bpf_attach_cgroup(struct brunt_bpf *bpf, int program, int directory, enum bpf_attach_type type,
			    const char *what, struct brunt_error *err)
{
	int fd;

	if (bpf->link_count == BRUNT_BPF_LINKS_MAX)
		return brunt_fail(err, E2BIG, "more than %d attachments", BRUNT_BPF_LINKS_MAX);
	fd = bpf_link_create(program, directory, type, NULL);
	return fd < 0 ? fail_attach(-fd, what, err) : keep_link(bpf, fd, BRUNT_BPF_CGROUP);
}

int brunt_bpf_attach_interface(struct brunt_bpf *bpf, int program, unsigned interface, int type, const char *what,
			       struct brunt_error *err)
{
	int fd;

	if (bpf->link_count == BRUNT_BPF_LINKS_MAX)
		return brunt_fail(err, E2BIG, "more than %d attachments", BRUNT_BPF_LINKS_MAX);
	fd = bpf_link_create(program, (int)interface, (enum bpf_attach_type)type, NULL);
	return fd < 0 ? fail_attach(-fd, what, err) : keep_link(bpf, fd, BRUNT_BPF_INTERFACE);
}

bool brunt_bpf_has_tcx(int program)
{
	int fd = bpf_link_create(program, INT32_MAX, (enum bpf_attach_type)BRUNT_BPF_TCX_EGRESS, NULL);

	if (fd >= 0)
		close(fd);
	return fd == -ENODEV;
}

static unsigned network_of(int fd, unsigned index)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	if (!if_indextoname(index, request.ifr_name) || ioctl(fd, SIOCGIFHWADDR, &request))
		return BRUNT_NETWORK_UNKNOWN;
	switch (request.ifr_hwaddr.sa_family) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return BRUNT_NETWORK_ETHERNET;
	case ARPHRD_NONE:
		return BRUNT_NETWORK_FIRST;
	default:
		return BRUNT_NETWORK_UNKNOWN;
	}
}

unsigned brunt_bpf_network(const struct brunt_victims *victims)
{
	BRUNT_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned all = BRUNT_NETWORK_UNKNOWN;
	bool first = true;

	for (size_t i = 0; fd >= 0 && i < victims->matched; i++) {
		unsigned one;

		if (!victims->items[i].picked)
			continue;
		one = network_of(fd, victims->items[i].interface_index);
		if (!first && one != all)
			return BRUNT_NETWORK_UNKNOWN;
		all = one;
		first = false;
	}
	return all;
}

int brunt_bpf_open_cgroup(const char *mount, const struct brunt_item *item, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];
	struct stat status;

	if (!mount || !mount[0])
		return brunt_fail(err, ENOTSUP, "no cgroup v2 is mounted; mount one, or target an interface");
	if (!item->cgroup[0])
		return brunt_fail(err, ENOTSUP, "the cgroup of '%s' is unknown", item->name);
	if (snprintf(path, sizeof(path), "%s%s", mount, item->cgroup) >= (int)sizeof(path))
		return brunt_fail(err, ENAMETOOLONG, "the path of cgroup '%.80s' is too long", item->cgroup);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return brunt_fail(err, errno == ENOENT ? ESRCH : errno, "cannot open cgroup '%.120s': %s", item->cgroup,
				  strerror(errno));
	if (fstat(fd, &status))
		return brunt_fail(err, errno, "cannot read cgroup '%.120s': %s", item->cgroup, strerror(errno));
	if (item->cgroup_id && status.st_ino != item->cgroup_id)
		return brunt_fail(err, ESRCH, "cgroup '%.120s' was made anew since it was resolved", item->cgroup);
	return BRUNT_TAKE_FD(fd);
}

bool brunt_bpf_is_covered(const struct brunt_victims *victims, size_t index)
{
	const char *path = victims->items[index].cgroup;

	for (size_t i = 0; i < victims->matched; i++) {
		const char *other = victims->items[i].cgroup;
		size_t length = strlen(other);

		if (i == index || !victims->items[i].picked || !length)
			continue;
		if (!strcmp(other, path)) {
			if (i < index)
				return true;
			continue;
		}
		if (length == 1 || (!strncmp(path, other, length) && path[length] == '/'))
			return true;
	}
	return false;
}

static bool is_cgroup_gone(const char *mount, const struct brunt_item *item)
{
	char path[PATH_MAX];
	struct stat status;

	if (!mount || snprintf(path, sizeof(path), "%s%s", mount, item->cgroup) >= (int)sizeof(path))
		return false;
	return stat(path, &status) ? errno == ENOENT : item->cgroup_id && status.st_ino != item->cgroup_id;
}

bool brunt_bpf_all_gone(const char *mount, const struct brunt_victims *victims)
{
	char name[IF_NAMESIZE];

	for (size_t i = 0; victims && i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];

		if (!item->picked)
			continue;
		if (item->kind == BRUNT_TARGET_PROCESS	   ? brunt_process_alive(&item->process)
		    : item->kind == BRUNT_TARGET_INTERFACE ? if_indextoname(item->interface_index, name) != NULL
							   : !is_cgroup_gone(mount, item))
			return false;
	}
	return victims && victims->picked;
}

uint64_t brunt_bpf_chance(double probability)
{
	const double all = 4294967296.0;
	double scaled = floor(probability * all + 0.5);

	if (probability <= 0 || probability >= 1)
		return probability <= 0 ? 0 : (uint64_t)all;
	return scaled < 1 ? 1 : scaled >= all ? (uint64_t)all - 1 : (uint64_t)scaled;
}

void brunt_bpf_set_chance(struct brunt_bpf *bpf, double probability)
{
	bpf->control->threshold = brunt_bpf_chance(probability);
}

int brunt_bpf_check_pids(struct brunt_error *err)
{
	struct stat status;

	if (stat("/proc/self/ns/pid", &status))
		return brunt_fail(err, errno, "cannot read /proc/self/ns/pid: %s", strerror(errno));
	if (status.st_ino != INITIAL_PID_NAMESPACE)
		return brunt_fail(err, ENOTSUP,
				  "brunt runs in a PID namespace of its own, where BPF cannot tell processes "
				  "apart; target a cgroup, or run brunt on the host");
	return 0;
}

int brunt_bpf_prepare(struct brunt_bpf *bpf, const struct brunt_victims *victims, const char *noun,
		      struct brunt_undo_record *ret_undo, struct brunt_error *err)
{
	struct {
		uint32_t kind, items;
	} undo = { .items = (uint32_t)victims->picked };
	int r = 0;

	if (!victims->matched || !victims->picked)
		return brunt_fail(err, ESRCH, "nothing is there to %s", noun);
	bpf->kind = victims->items[0].kind;
	undo.kind = bpf->kind;
	if (bpf->kind == BRUNT_TARGET_PROCESS)
		r = brunt_bpf_check_pids(err);
	if (r)
		return r;
	bpf->victims = victims;
	ret_undo->version = 1;
	memcpy(ret_undo->data, &undo, sizeof(undo));
	return brunt_bpf_names_prepare(bpf, err);
}

int brunt_bpf_mark_processes(struct brunt_bpf *bpf, __u32 value, struct brunt_error *err)
{
	for (size_t i = 0; i < bpf->victims->matched; i++) {
		const struct brunt_item *item = &bpf->victims->items[i];
		__u32 tgid = (__u32)item->process.pid;

		if (!item->picked)
			continue;
		if (!brunt_process_alive(&item->process))
			return brunt_fail(err, ESRCH, "process %u (%s) ended", tgid, item->process.name);
		if (bpf_map_update_elem(bpf->processes, &tgid, &value, BPF_ANY))
			return brunt_fail(err, errno, "cannot mark process %u: %s", tgid, strerror(errno));
	}
	return 0;
}

/* Armed is written last and cleared first, so that no program sees a lease of the past. */
void brunt_bpf_arm(struct brunt_bpf *bpf, uint64_t expires)
{
	__atomic_store_n(&bpf->control->expires, expires, __ATOMIC_RELEASE);
	__atomic_store_n(&bpf->control->lapsed, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&bpf->control->armed, 1, __ATOMIC_SEQ_CST);
}

void brunt_bpf_renew(struct brunt_bpf *bpf, uint64_t expires)
{
	if (brunt_now() >= __atomic_load_n(&bpf->control->expires, __ATOMIC_ACQUIRE))
		__atomic_store_n(&bpf->control->lapsed, 1, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&bpf->control->expires, expires, __ATOMIC_RELEASE);
}

void brunt_bpf_disarm(struct brunt_bpf *bpf)
{
	__atomic_store_n(&bpf->control->armed, 0, __ATOMIC_SEQ_CST);
}

int brunt_bpf_verify(struct brunt_bpf *bpf, struct brunt_error *err)
{
	const struct brunt_control *control = bpf->readback;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(bpf->control_map, &zero, bpf->readback))
		return brunt_fail(err, errno, "cannot read the BPF control block back: %s", strerror(errno));
	if (control->armed)
		return brunt_fail(err, EBUSY, "the BPF program is still armed");
	return 0;
}

/* A link outlives what it was attached to, but then names nothing. */
static bool is_detached(const struct brunt_bpf_link *link)
{
	struct bpf_link_info info;
	__u32 size = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (bpf_obj_get_info_by_fd(link->fd, &info, &size))
		return true;
	/* a hook is always there */
	if (link->place == BRUNT_BPF_HOOK)
		return false;
	/* struct tcx begins like struct xdp: with the interface's index */
	return link->place == BRUNT_BPF_INTERFACE ? !info.xdp.ifindex : !info.cgroup.cgroup_id;
}

void brunt_bpf_forget_dead(int processes, const struct brunt_victims *victims, size_t *looked)
{
	for (size_t i = 0; victims && i < LOOKS && i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[(*looked)++ % victims->matched];
		__u32 tgid = (__u32)item->process.pid;

		if (item->kind == BRUNT_TARGET_PROCESS && item->picked && !brunt_process_alive(&item->process))
			(void)bpf_map_delete_elem(processes, &tgid);
	}
}

int brunt_bpf_poll(struct brunt_bpf *bpf, struct brunt_hits *ret)
{
	__u32 zero = 0;

	memset(ret, 0, sizeof(*ret));
	brunt_bpf_names_poll(bpf);
	if (bpf->processes >= 0)
		brunt_bpf_forget_dead(bpf->processes, bpf->victims, &bpf->looked);
	if (bpf_map_lookup_elem(bpf->counters, &zero, bpf->percpu))
		return -errno;
	for (int i = 0; i < bpf->cpus; i++) {
		ret->seen += bpf->percpu[i].missed + bpf->percpu[i].matched;
		ret->matched += bpf->percpu[i].matched;
		ret->hit += bpf->percpu[i].hit;
	}
	ret->lapsed = bpf->control->lapsed ||
		      (bpf->control->armed && brunt_now() >= __atomic_load_n(&bpf->control->expires, __ATOMIC_ACQUIRE));
	for (size_t i = 0; i < bpf->link_count; i++)
		ret->detached |= is_detached(&bpf->links[i]);
	ret->target_gone = brunt_bpf_all_gone(bpf->mount, bpf->victims);
	return 0;
}

void brunt_bpf_detach(struct brunt_bpf *bpf)
{
	while (bpf->link_count)
		close(bpf->links[--bpf->link_count].fd);
	for (size_t i = 0; bpf->victims && bpf->kind == BRUNT_TARGET_PROCESS && i < bpf->victims->matched; i++) {
		__u32 tgid = (__u32)bpf->victims->items[i].process.pid;

		(void)bpf_map_delete_elem(bpf->processes, &tgid);
	}
	bpf->victims = NULL;
}

void brunt_bpf_unload(struct brunt_bpf *bpf)
{
	if (bpf->links)
		brunt_bpf_detach(bpf);
	bpf_named_close(bpf);
	brunt_names_stop(bpf->names);
	free(bpf->links);
	free(bpf->percpu);
	free(bpf->readback);
	memset(bpf, 0, sizeof(*bpf));
}

int brunt_bpf_recover(const char *run, struct brunt_error *err)
{
	char name[16];
	__u32 id = 0;

	(void)snprintf(name, sizeof(name), "brunt_%.8s", run);
	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info;
		__u32 size = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		if (!bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, name)) {
			close(fd);
			return brunt_fail(err, EBUSY, "BPF program %u (%s) is still held by a process", id, name);
		}
		close(fd);
	}
	return 0;
}

int brunt_bpf_op_arm(void *state, uint64_t expires, struct brunt_error *err)
{
	(void)err;
	brunt_bpf_arm(state, expires);
	return 0;
}

void brunt_bpf_op_renew(void *state, uint64_t expires)
{
	brunt_bpf_renew(state, expires);
}

void brunt_bpf_op_disarm(void *state)
{
	brunt_bpf_disarm(state);
}

int brunt_bpf_op_verify(void *state, struct brunt_error *err)
{
	return brunt_bpf_verify(state, err);
}

void brunt_bpf_op_detach(void *state)
{
	brunt_bpf_detach(state);
}

int brunt_bpf_op_recover(const struct brunt_undo_record *undo, struct brunt_error *err)
{
	return brunt_bpf_recover(undo->run, err);
}
