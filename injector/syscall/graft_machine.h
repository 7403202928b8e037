/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that grafting knows of one architecture: its registers, how it calls the
 * kernel, and what the kernel leaves in them when a call was interrupted.
 */
#pragma once

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>

struct brunt_machine_call {
	long number;
	uint64_t args[6];
};

#if defined(__x86_64__) && !defined(__ILP32__)

#define BRUNT_MACHINE_CAN_GRAFT 1
#define BRUNT_MACHINE_ELF	EM_X86_64

/* "syscall". Nobody minds what follows it: the thread is stopped again before that. */
#define BRUNT_MACHINE_INSTRUCTION      "\x0f\x05"
#define BRUNT_MACHINE_INSTRUCTION_SIZE 2

struct brunt_machine {
	struct user_regs_struct regs;
};

static inline int brunt_machine_get(pid_t tid, struct brunt_machine *ret)
{
	return ptrace(PTRACE_GETREGS, tid, NULL, &ret->regs) ? -errno : 0;
}

static inline int brunt_machine_set(pid_t tid, const struct brunt_machine *machine)
{
	return ptrace(PTRACE_SETREGS, tid, NULL, &machine->regs) ? -errno : 0;
}

/* In 64-bit mode, where the numbers of calls are ours? __USER_CS of asm/segment.h, and Xen's FLAT_RING3_CS64. */
static inline bool brunt_machine_is_native(const struct brunt_machine *machine)
{
	return machine->regs.cs == 0x33 || machine->regs.cs == 0xe033;
}

/*
 * What the thread is to do next. orig_rax -1 says that it is in no call: so the kernel restarts none on the way there,
 * whatever is in rax (arch_do_signal_or_restart()).
 */
static inline void brunt_machine_prepare(struct brunt_machine *machine, uint64_t instruction,
					 const struct brunt_machine_call *call)
{
	struct user_regs_struct *regs = &machine->regs;

	regs->rip = instruction;
	regs->orig_rax = UINT64_MAX;
	regs->rax = (uint64_t)call->number;
	regs->rdi = call->args[0];
	regs->rsi = call->args[1];
	regs->rdx = call->args[2];
	regs->r10 = call->args[3];
	regs->r8 = call->args[4];
	regs->r9 = call->args[5];
}

/* At the entry of a call: of this one, made there? */
static inline bool brunt_machine_is_entering(const struct brunt_machine *machine, uint64_t instruction, long number)
{
	return machine->regs.orig_rax == (uint64_t)number &&
	       machine->regs.rip == instruction + BRUNT_MACHINE_INSTRUCTION_SIZE;
}

static inline long brunt_machine_result(const struct brunt_machine *machine)
{
	return (long)machine->regs.rax;
}

/*
 * Most calls that a stop interrupts say -ERESTARTSYS or its like, and the kernel restarts them unless a handler runs.
 * Some say -EINTR at once, also to a program without any handler (signal(7), "Interruption of system calls ... by
 * stop signals"). For them, if to make them again is the same as not to have been interrupted: -ERESTARTNOHAND, by
 * which the kernel restarts them, too, but lets -EINTR stand when a handler runs. A timeout begins anew. True when
 * that was so.
 */
static inline bool brunt_machine_heal(struct brunt_machine *machine)
{
	enum { ERESTARTNOHAND = 514 }; /* linux/errno.h of the kernel */

	if (machine->regs.rax != (uint64_t)-EINTR)
		return false;
	switch ((int64_t)machine->regs.orig_rax) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case 441: /* epoll_pwait2, Linux 5.11 */
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_io_getevents:
	/* Sockets with SO_RCVTIMEO or SO_SNDTIMEO: sock_intr_errno(). Not connect(), which would say EALREADY. */
	case SYS_accept:
	case SYS_accept4:
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
		machine->regs.rax = (uint64_t)-ERESTARTNOHAND;
		return true;
	default:
		return false;
	}
}

#else

#define BRUNT_MACHINE_CAN_GRAFT	       0
#define BRUNT_MACHINE_ELF	       EM_NONE
#define BRUNT_MACHINE_INSTRUCTION      ""
#define BRUNT_MACHINE_INSTRUCTION_SIZE 1

struct brunt_machine {
	long none;
};

static inline int brunt_machine_get(pid_t tid, struct brunt_machine *ret)
{
	(void)tid, (void)ret;
	return -ENOTSUP;
}

static inline int brunt_machine_set(pid_t tid, const struct brunt_machine *machine)
{
	(void)tid, (void)machine;
	return -ENOTSUP;
}

static inline bool brunt_machine_is_native(const struct brunt_machine *machine)
{
	(void)machine;
	return false;
}

static inline void brunt_machine_prepare(struct brunt_machine *machine, uint64_t instruction,
					 const struct brunt_machine_call *call)
{
	(void)machine, (void)instruction, (void)call;
}

static inline bool brunt_machine_is_entering(const struct brunt_machine *machine, uint64_t instruction, long number)
{
	(void)machine, (void)instruction, (void)number;
	return false;
}

static inline long brunt_machine_result(const struct brunt_machine *machine)
{
	(void)machine;
	return -ENOTSUP;
}

static inline bool brunt_machine_heal(struct brunt_machine *machine)
{
	(void)machine;
	return false;
}

#endif
