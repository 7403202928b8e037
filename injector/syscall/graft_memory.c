/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a process, by /proc: where in it there is an instruction that calls the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/memory.h"
#include "syscall/graft_parts.h"

#define CHUNK (64 * 1024)

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static int open_of(int proc_dir, pid_t tid, const char *name, int flags)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%d/%s", (int)tid, name);
	fd = openat(proc_dir, path, flags | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

int brunt_graft_memory(int proc_dir, pid_t tid, bool write, uint64_t address, void *data, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = open_of(proc_dir, tid, "mem", write ? O_RDWR : O_RDONLY);
	ssize_t done;

	if (fd < 0)
		return fd;
	done = write ? pwrite(fd, data, size, (off_t)address) : pread(fd, data, size, (off_t)address);
	if (done < 0)
		return errno == EIO ? -EFAULT : -errno;
	return (size_t)done == size ? 0 : -EFAULT;
}

/* Looks through begin..end: 1 found, 0 not, -ESRCH when there is no memory any more. */
static int search(int memory, uint64_t begin, uint64_t end, unsigned char *buf, uint64_t *ret)
{
	/* It may lie across two chunks. */
	const size_t overlap = BRUNT_MACHINE_INSTRUCTION_SIZE - 1;

	while (end - begin >= BRUNT_MACHINE_INSTRUCTION_SIZE) {
		size_t size = end - begin < CHUNK ? end - begin : CHUNK;
		ssize_t got = pread(memory, buf, size, (off_t)begin);
		const unsigned char *found;

		if (!got)
			return -ESRCH; /* mem_rw(): all threads have let go of it */
		if (got < BRUNT_MACHINE_INSTRUCTION_SIZE)
			return 0;
		found = memmem(buf, (size_t)got, BRUNT_MACHINE_INSTRUCTION, BRUNT_MACHINE_INSTRUCTION_SIZE);
		if (found) {
			*ret = begin + (size_t)(found - buf);
			return 1;
		}
		begin += (size_t)got - overlap;
	}
	return 0;
}

/* In the mappings that are the vDSO, or in all others. A process without any is on its way out. */
static int search_maps(FILE *maps, int memory, bool vdso, unsigned char *buf, uint64_t *ret)
{
	BRUNT_AUTO_FREE char *line = NULL;
	size_t room = 0;
	int rc = -ESRCH;

	rewind(maps);
	while (getline(&line, &room, maps) > 0) {
		unsigned long begin, end;
		char permissions[5];

		rc = 0;
		if (sscanf(line, "%lx-%lx %4s", &begin, &end, permissions) != 3 || permissions[2] != 'x')
			continue;
		/* [vsyscall] can be entered at three addresses only, if at all: emulate_vsyscall(). */
		if (strstr(line, "[vsyscall]") || vdso != (strstr(line, "[vdso]") != NULL))
			continue;
		rc = search(memory, begin, end, buf, ret);
		if (rc)
			break;
	}
	return rc;
}

/*
 * The vDSO first: every program has it, and none unmaps it. Bytes that are part of another instruction, or of data, do
 * as well.
 */
int brunt_graft_instruction(int proc_dir, pid_t tid, uint64_t *ret)
{
	BRUNT_CLEANUP(close_file) FILE *maps = NULL;
	BRUNT_AUTO_CLOSE int memory = open_of(proc_dir, tid, "mem", O_RDONLY);
	BRUNT_AUTO_CLOSE int fd = open_of(proc_dir, tid, "maps", O_RDONLY);
	BRUNT_AUTO_FREE unsigned char *buf = malloc(CHUNK);
	int rc;

	if (memory < 0 || fd < 0)
		return memory < 0 ? memory : fd;
	if (!buf)
		return -ENOMEM;
	maps = fdopen(fd, "r");
	if (!maps)
		return -errno;
	(void)BRUNT_TAKE_FD(fd);
	rc = search_maps(maps, memory, true, buf, ret);
	if (!rc)
		rc = search_maps(maps, memory, false, buf, ret);
	return rc > 0 ? 0 : rc < 0 ? rc : -ENOENT;
}
