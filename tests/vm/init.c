/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process in the test VM (scripts/vm): makes a system of the host's
 * root file system, runs one command, tells its output and exit status
 * through virtio-serial ports, ends the machine.
 *
 * A program and no shell script, because starting processes is what emulation
 * is slowest at: this saves more than a second at every boot.
 *
 * The initramfs holds this as /init, modules in the order of loading in
 * /modules, busybox for loading more of them, and /request: words that end in
 * NUL, the folder with the kernel's modules, the folder to work in, the
 * command and its arguments.
 *
 * On the host, `init tsc` prints the frequency of the time stamp counter in
 * kHz: QEMU passes the host's counter on, and the machine has no other clock
 * that its kernel could measure it with.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define MS 1000000ULL

/* What the command's children may still say after it has ended. */
#define LAST_WORDS (500 * MS)

struct mounting {
	const char *source, *place, *type, *options;
};

static const struct mounting early[] = {
	{ "proc", "/proc", "proc", NULL },
	{ "sysfs", "/sys", "sysfs", NULL },
	{ "devtmpfs", "/dev", "devtmpfs", NULL },
};

static const struct mounting late[] = {
	{ "devpts", "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666" },
	{ "shm", "/dev/shm", "tmpfs", NULL },
	{ "cgroup2", "/sys/fs/cgroup", "cgroup2", NULL },
	{ "bpf", "/sys/fs/bpf", "bpf", NULL },
	{ "debugfs", "/sys/kernel/debug", "debugfs", NULL },
	{ "tracefs", "/sys/kernel/tracing", "tracefs", NULL },
	{ "securityfs", "/sys/kernel/security", "securityfs", NULL },
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return (uint64_t)time.tv_sec * 1000 * MS + (uint64_t)time.tv_nsec;
}

static void complain(const char *what)
{
	printf("init: %s: %s\n", what, strerror(errno));
}

/* The host finds no exit status then, and shows the console. */
static _Noreturn void end_machine(const char *why)
{
	if (why)
		complain(why);
	(void)fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT); /* QEMU was told not to start again */
	for (;;)
		pause();
}

static void mount_all(const struct mounting *mounts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		mkdir(mounts[i].place, 0755);
		if (mount(mounts[i].source, mounts[i].place, mounts[i].type, 0, mounts[i].options))
			complain(mounts[i].place);
	}
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		complain(path);
	if (fd >= 0)
		close(fd);
}

/* At most size - 1 bytes, ended with NUL. Returns how many, or -1. */
static ssize_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = -1;
	size_t done = 0;

	while (fd >= 0 && (count = read(fd, text + done, size - 1 - done)) > 0)
		done += (size_t)count;
	if (fd >= 0)
		close(fd);
	text[done] = 0;
	return count < 0 ? -1 : (ssize_t)done;
}

static void load_modules(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	char path[512];

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);

		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
			complain(path);
		if (fd >= 0)
			close(fd);
	}
}

/* The host's root, read-only, below a layer in memory that takes what is written; then this is the root, as an init
 * leaves its initramfs: by moving the mount. A plain chroot would refuse user namespaces to the command (clone(2)).
 */
static void switch_root(void)
{
	uint64_t until = now() + 10000 * MS;

	mkdir("/host", 0755);
	while (mount("host", "/host", "virtiofs", MS_RDONLY, NULL)) { /* its device may not be there yet */
		if (now() > until)
			end_machine("mount the host's root");
		usleep(5000);
	}
	mkdir("/layer", 0755);
	mkdir("/root", 0755);
	if (mount("layer", "/layer", "tmpfs", 0, "mode=755") || mkdir("/layer/upper", 0755) ||
	    mkdir("/layer/work", 0755) ||
	    mount("root", "/root", "overlay", 0, "lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work"))
		end_machine("overlay");
	if (mount("/proc", "/root/proc", NULL, MS_MOVE, NULL) || mount("/sys", "/root/sys", NULL, MS_MOVE, NULL) ||
	    mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) || mount("run", "/root/run", "tmpfs", 0, "mode=755"))
		end_machine("move mounts");
	mkdir("/root/run/vm", 0755);
	mkdir("/root/tmp", 01777);

	/* The initramfs is out of reach afterwards: busybox goes along. */
	if (chdir("/root") || mount("/busybox", "run/vm", NULL, MS_BIND, NULL) ||
	    mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		end_machine("switch root");
}

static void enable_controllers(void)
{
	char names[512], verb[64], *rest = names;

	if (read_text("/sys/fs/cgroup/cgroup.controllers", names, sizeof(names)) < 0)
		return;
	for (char *name; (name = strsep(&rest, " \n"));) {
		if (!*name)
			continue;
		(void)snprintf(verb, sizeof(verb), "+%s", name);
		write_text("/sys/fs/cgroup/cgroup.subtree_control", verb);
	}
}

/* Modules are where every tool looks for them, and the kernel finds them by itself (tc, ip, nft, mount -t). */
static void offer_modules(const char *folder)
{
	struct utsname kernel;
	char path[128];

	uname(&kernel);
	(void)snprintf(path, sizeof(path), "/lib/modules/%s", kernel.release);
	mkdir("/lib/modules", 0755);
	mkdir(path, 0755);
	if (mount(folder, path, NULL, MS_BIND, NULL))
		complain(folder);
	write_text("/proc/sys/kernel/modprobe", "/run/vm/modprobe");
	if (access("/sbin/modprobe", X_OK) && symlink("/run/vm/modprobe", "/sbin/modprobe"))
		complain("/sbin/modprobe");
}

/* What udev adds to devtmpfs; opening tun loads its driver. */
static void complete_dev(void)
{
	mkdir("/dev/net", 0755);
	if (mknod("/dev/net/tun", S_IFCHR, makedev(10, 200)) || chmod("/dev/net/tun", 0666) ||
	    symlink("/proc/self/fd", "/dev/fd") || symlink("fd/0", "/dev/stdin") || symlink("fd/1", "/dev/stdout") ||
	    symlink("fd/2", "/dev/stderr"))
		complain("/dev");
}

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		complain("lo");
	if (fd >= 0)
		close(fd);
}

/* Ports appear a little after their driver, and the device's number is the kernel's choice. */
static int open_port(int number)
{
	uint64_t until = now() + 10000 * MS;
	char pattern[32];
	glob_t found = { 0 };
	int fd = -1;

	(void)snprintf(pattern, sizeof(pattern), "/dev/vport*p%d", number);
	while (glob(pattern, 0, NULL, &found) || (fd = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC)) < 0) {
		if (now() > until)
			end_machine(pattern);
		usleep(5000);
	}
	globfree(&found);
	return fd;
}

static pid_t start(const char *folder, char **argv, int out, int err)
{
	static char *environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				       "HOME=/root",
				       "USER=root",
				       "LANG=C.UTF-8",
				       "BRUNT_VM=1",
				       NULL };
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	dup2(out, 1);
	dup2(err, 2);
	if (chdir(folder)) {
		(void)fprintf(stderr, "vm: %s: %s (is it on a file system that is not shared with the VM?)\n", folder,
			      strerror(errno));
		_exit(126);
	}
	execvpe(argv[0], argv, environment);
	(void)fprintf(stderr, "vm: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Passes on what the pipe has. Returns false at its end. */
static bool pass_on(int from, int to)
{
	static char buffer[65536];
	ssize_t count = read(from, buffer, sizeof(buffer));

	for (ssize_t done = 0; done < count;) {
		ssize_t written = write(to, buffer + done, (size_t)(count - done));

		if (written <= 0)
			return false;
		done += written;
	}
	return count > 0;
}

/* As the first process this is the parent of every orphan. Returns whether `wanted` was among the dead. */
static bool reap(pid_t wanted, int *ret_status)
{
	bool found = false;
	int status;

	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid != wanted)
			continue;
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		found = true;
	}
	return found;
}

/* Runs the command to its end; children that it left behind and that keep its output open are not waited for. */
static int run(const char *folder, char **argv)
{
	int ports[2] = { open_port(2), open_port(3) }, out[2], err[2], status = 0, open_pipes = 2;
	uint64_t ended = 0;

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		end_machine("pipe");

	pid_t pid = start(folder, argv, out[1], err[1]);
	struct pollfd pipes[2] = { { .fd = out[0], .events = POLLIN }, { .fd = err[0], .events = POLLIN } };

	if (pid < 0)
		end_machine("fork");
	close(out[1]);
	close(err[1]);
	while (open_pipes || !ended) {
		int ready = poll(pipes, 2, 20);

		for (int i = 0; ready > 0 && i < 2; i++) {
			if (!pipes[i].revents || pass_on(pipes[i].fd, ports[i]))
				continue;
			pipes[i].fd = -1; /* poll skips it */
			open_pipes--;
		}
		if (reap(pid, &status))
			ended = now();
		if (ended && ready <= 0 && now() - ended > LAST_WORDS)
			break;
	}
	return status;
}

/* The best of three: an interruption makes a single one too low. */
static int print_tsc(void)
{
	double best = 0;

	for (int i = 0; i < 3; i++) {
		uint64_t begin = now(), ticks = __rdtsc();

		while (now() - begin < 20 * MS)
			;

		double khz = (double)(__rdtsc() - ticks) / (double)(now() - begin) * 1e6;

		if (khz > best)
			best = khz;
	}
	printf("%.0f\n", best);
	return 0;
}

int main(int argc, char **argv)
{
	static char request[1 << 20], *words[1 << 15];
	size_t count = 0;

	if (argc == 2 && !strcmp(argv[1], "tsc"))
		return print_tsc();
	if (getpid() != 1) {
		(void)fprintf(stderr, "usage: init tsc; else it is the first process of a virtual machine\n");
		return 2;
	}
	mount_all(early, sizeof(early) / sizeof(early[0]));

	ssize_t size = read_text("/request", request, sizeof(request));

	for (char *word = request; word < request + size && count < sizeof(words) / sizeof(words[0]) - 1;
	     word += strlen(word) + 1)
		words[count++] = word;
	if (count < 3)
		end_machine("/request");
	load_modules("/modules");
	switch_root();
	mount_all(late, sizeof(late) / sizeof(late[0]));
	enable_controllers();
	offer_modules(words[0]);
	complete_dev();
	raise_loopback();
	sethostname("brunt-vm", 8);

	int status = run(words[1], words + 2);

	dprintf(open_port(1), "%d\n", status);
	end_machine(NULL);
}
