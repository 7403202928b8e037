/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What brunt knows of each system call of x86-64, up to Linux 6.7, in the order of their numbers there. Other
 * architectures have a part of these; libseccomp says which.
 *
 * Classes are those of strace, which are not always what one would guess: %desc leaves out what is %network alone.
 * Errnos are those that a manual page allows to a program without defects: neither EFAULT nor ENOSYS. EINTR is there
 * where a call may be interrupted: to forget it is a classic.
 */
#include "syscall/calls.h"

#include "brunt/memory.h"

#include <assert.h>

/* Names that leave room in a line. */
enum {
	FILES = BRUNT_CALLS_FILE,
	DESC = BRUNT_CALLS_DESC,
	NET = BRUNT_CALLS_NETWORK,
	MEM = BRUNT_CALLS_MEMORY,
	PROC = BRUNT_CALLS_PROCESS,
	SIG = BRUNT_CALLS_SIGNAL,
	IPC = BRUNT_CALLS_IPC,
	SYNC = BRUNT_CALLS_SYNC,
	CREDS = BRUNT_CALLS_CREDS,
	CLOCK = BRUNT_CALLS_CLOCK,
};
enum {
	VDSO = BRUNT_CALL_VDSO,
	SHORT = BRUNT_CALL_SHORT,
	NOTIFY = BRUNT_CALL_NOTIFY,
	NORETURN = BRUNT_CALL_NORETURN,
};

/*
 * Who stands in for whom: what a program gets done by one call, the next version of its C library may get done by
 * another. truncate and ftruncate, or sendfile and splice, are not the same thing to a program: they stand alone.
 */
enum {
	FAMILY_ALONE,
	FAMILY_READ,
	FAMILY_WRITE,
	FAMILY_OPEN,
	FAMILY_CLOSE,
	FAMILY_STAT,
	FAMILY_POLL,
	FAMILY_MPROTECT,
	FAMILY_ACCESS,
	FAMILY_PIPE,
	FAMILY_SELECT,
	FAMILY_SYNC,
	FAMILY_DUP,
	FAMILY_SLEEP,
	FAMILY_ACCEPT,
	FAMILY_SEND,
	FAMILY_RECEIVE,
	FAMILY_FORK,
	FAMILY_EXEC,
	FAMILY_WAIT,
	FAMILY_KILL,
	FAMILY_SEMOP,
	FAMILY_GETDENTS,
	FAMILY_RENAME,
	FAMILY_MKDIR,
	FAMILY_UNLINK,
	FAMILY_LINK,
	FAMILY_SYMLINK,
	FAMILY_READLINK,
	FAMILY_CHMOD,
	FAMILY_CHOWN,
	FAMILY_TIME,
	FAMILY_RLIMIT,
	FAMILY_UTIME,
	FAMILY_MKNOD,
	FAMILY_STATFS,
	FAMILY_MLOCK,
	FAMILY_ADJTIME,
	FAMILY_SETTIME,
	FAMILY_MODULE,
	FAMILY_SETXATTR,
	FAMILY_GETXATTR,
	FAMILY_LISTXATTR,
	FAMILY_REMOVEXATTR,
	FAMILY_AIO_WAIT,
	FAMILY_EPOLL_CREATE,
	FAMILY_EPOLL_WAIT,
	FAMILY_KEXEC,
	FAMILY_INOTIFY,
	FAMILY_SIGNALFD,
	FAMILY_EVENTFD,
};

/* Where arguments of a kind stand. */
#define ARGUMENTS(fd_, fd2_, path_, path2_, dirfd_, dirfd2_, address_, addrlen_, count_)                               \
	.fd = (fd_), .fd2 = (fd2_), .path = { path_, path2_ }, .dirfd = { dirfd_, dirfd2_ }, .address = (address_),    \
	.addrlen = (addrlen_), .count = (count_)
/* clang-format off */
#define NONE                           ARGUMENTS(-1, -1, -1, -1, -1, -1, -1, -1, -1)
#define COUNT(c)                       ARGUMENTS(-1, -1, -1, -1, -1, -1, -1, -1, c)
#define FD(f)                          ARGUMENTS(f, -1, -1, -1, -1, -1, -1, -1, -1)
#define FD_COUNT(f, c)                 ARGUMENTS(f, -1, -1, -1, -1, -1, -1, -1, c)
#define FD_ADDRESS(f, a, l)            ARGUMENTS(f, -1, -1, -1, -1, -1, a, l, -1)
#define FD_COUNT_ADDRESS(f, c, a, l)   ARGUMENTS(f, -1, -1, -1, -1, -1, a, l, c)
#define FD_PATH(f, p)                  ARGUMENTS(f, -1, p, -1, -1, -1, -1, -1, -1)
#define FD_AT(f, d, p)                 ARGUMENTS(f, -1, p, -1, d, -1, -1, -1, -1)
#define FDS(f, g)                      ARGUMENTS(f, g, -1, -1, -1, -1, -1, -1, -1)
#define FDS_COUNT(f, g, c)             ARGUMENTS(f, g, -1, -1, -1, -1, -1, -1, c)
#define PATH(p)                        ARGUMENTS(-1, -1, p, -1, -1, -1, -1, -1, -1)
#define PATH_COUNT(p, c)               ARGUMENTS(-1, -1, p, -1, -1, -1, -1, -1, c)
#define PATHS(p, q)                    ARGUMENTS(-1, -1, p, q, -1, -1, -1, -1, -1)
#define AT(d, p)                       ARGUMENTS(-1, -1, p, -1, d, -1, -1, -1, -1)
#define AT_COUNT(d, p, c)              ARGUMENTS(-1, -1, p, -1, d, -1, -1, -1, c)
#define ATS(d, p, e, q)                ARGUMENTS(-1, -1, p, q, d, e, -1, -1, -1)

/* Errnos that several have: of whatever resolves a path (path_resolution(7)), and of families. */
#define WALK        "EACCES ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR"
#define MAY_READ    "EAGAIN EBADF EINTR EINVAL EIO EISDIR"
#define MAY_WRITE   "EAGAIN EBADF EDESTADDRREQ EDQUOT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE"
#define MAY_SEND    \
	"EACCES EAGAIN EALREADY EBADF ECONNRESET EDESTADDRREQ EINTR EINVAL EISCONN EMSGSIZE ENOBUFS" \
	" ENOMEM ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE"
#define MAY_RECEIVE "EAGAIN EBADF ECONNREFUSED EINTR EINVAL ENOMEM ENOTCONN ENOTSOCK"
#define MAY_ACCEPT  \
	"EAGAIN EBADF ECONNABORTED EINTR EINVAL EMFILE ENFILE ENOBUFS ENOMEM ENOTSOCK EOPNOTSUPP " \
	"EPERM EPROTO ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH"
#define MAY_OPEN    \
	"EINTR EBUSY EDQUOT EEXIST EFBIG EINVAL EISDIR EMFILE ENFILE ENODEV ENOSPC ENXIO EOPNOTSUPP" \
	" EOVERFLOW EPERM EROFS ETXTBSY EAGAIN "
#define MAY_EXEC    "E2BIG EAGAIN EINVAL EIO EISDIR ELIBBAD EMFILE ENFILE ENOEXEC EPERM ETXTBSY "
#define MAY_RENAME  "EBUSY EDQUOT EEXIST EINVAL EISDIR EMLINK ENOSPC ENOTEMPTY EPERM EROFS EXDEV "

#define CALL(name_, classes_, flags_, arguments_, family_, errnos_) \
	{ .name = #name_, .classes = (classes_), .flags = (flags_), arguments_, .family = FAMILY_##family_, .errnos = errnos_ },

/*
 * NOTIFY, never to be touched:
 *   exit, exit_group      a thread that is still there after it ended itself runs into whatever lies behind
 *   rt_sigreturn          gives its thread the registers that a signal took; no errno can stand for that
 *   restart_syscall       the kernel's own: goes on with a call that a signal stopped, after that call was let through
 *   seccomp               a program whose sandbox fails may go on without one; and brunt has processes call it
 * uretprobe and uprobe (Linux 6.11, 6.18), which the kernel's own trampolines call, are not in the table, and so never
 * in a filter: to fail them is SIGILL.
 *
 * symlink's first argument is a text, not a path that is looked up; the names of message queues are none either. SHORT
 * is true of sockets that are streams only. A recvfrom's or accept's address is an answer, so it is no condition.
 */
const struct brunt_call brunt_calls[] = {
	CALL(read,                   DESC,               SHORT,             FD_COUNT(0, 2),               READ,         MAY_READ)
	CALL(write,                  DESC,               SHORT,             FD_COUNT(0, 2),               WRITE,        MAY_WRITE)
	CALL(open,                   FILES | DESC,       0,                 PATH(0),                      OPEN,         MAY_OPEN WALK)
	CALL(close,                  DESC,               0,                 FD(0),                        CLOSE,        "EBADF EDQUOT EINTR EIO ENOSPC")
	CALL(stat,                   FILES,              0,                 PATH(0),                      STAT,         "EOVERFLOW " WALK)
	CALL(fstat,                  DESC,               0,                 FD(0),                        STAT,         "EBADF ENOMEM EOVERFLOW")
	CALL(lstat,                  FILES,              0,                 PATH(0),                      STAT,         "EOVERFLOW " WALK)
	CALL(poll,                   DESC,               0,                 NONE,                         POLL,         "EINTR EINVAL ENOMEM")
	CALL(lseek,                  DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL ENXIO EOVERFLOW ESPIPE")
	CALL(mmap,                   DESC | MEM,         0,                 FD_COUNT(4, 1),               ALONE,        "EACCES EAGAIN EBADF EEXIST EINVAL ENFILE ENODEV ENOMEM EOVERFLOW EPERM ETXTBSY")
	CALL(mprotect,               MEM,                0,                 COUNT(1),                     MPROTECT,     "EACCES EINVAL ENOMEM")
	CALL(munmap,                 MEM,                0,                 COUNT(1),                     ALONE,        "EINVAL ENOMEM")
	CALL(brk,                    MEM,                0,                 NONE,                         ALONE,        "ENOMEM")
	CALL(rt_sigaction,           SIG,                0,                 NONE,                         ALONE,        "EINVAL")
	CALL(rt_sigprocmask,         SIG,                0,                 NONE,                         ALONE,        "EINVAL")
	CALL(rt_sigreturn,           SIG,                NOTIFY | NORETURN, NONE,                         ALONE,        "")
	CALL(ioctl,                  DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOTTY")
	CALL(pread64,                DESC,               SHORT,             FD_COUNT(0, 2),               READ,         MAY_READ " ENXIO EOVERFLOW ESPIPE")
	CALL(pwrite64,               DESC,               SHORT,             FD_COUNT(0, 2),               WRITE,        MAY_WRITE " ENXIO EOVERFLOW ESPIPE")
	CALL(readv,                  DESC,               SHORT,             FD(0),                        READ,         MAY_READ)
	CALL(writev,                 DESC,               SHORT,             FD(0),                        WRITE,        MAY_WRITE)
	CALL(access,                 FILES,              0,                 PATH(0),                      ACCESS,       "EINVAL EIO EPERM EROFS ETXTBSY " WALK)
	CALL(pipe,                   DESC,               0,                 NONE,                         PIPE,         "EMFILE ENFILE")
	CALL(select,                 DESC,               0,                 NONE,                         SELECT,       "EBADF EINTR EINVAL ENOMEM")
	CALL(sched_yield,            0,                  0,                 NONE,                         ALONE,        "")
	CALL(mremap,                 MEM,                0,                 NONE,                         ALONE,        "EAGAIN EINVAL ENOMEM")
	CALL(msync,                  MEM | SYNC,         0,                 COUNT(1),                     SYNC,         "EBUSY EINVAL ENOMEM")
	CALL(mincore,                MEM,                0,                 COUNT(1),                     ALONE,        "EINVAL ENOMEM")
	CALL(madvise,                MEM,                0,                 COUNT(1),                     ALONE,        "EACCES EAGAIN EBADF EBUSY EHWPOISON EINVAL EIO ENOMEM EPERM")
	CALL(shmget,                 IPC,                0,                 NONE,                         ALONE,        "EACCES EEXIST EINVAL ENFILE ENOENT ENOMEM ENOSPC EPERM")
	CALL(shmat,                  MEM | IPC,          0,                 NONE,                         ALONE,        "EACCES EIDRM EINVAL ENOMEM")
	CALL(shmctl,                 IPC,                0,                 NONE,                         ALONE,        "EACCES EIDRM EINVAL ENOMEM EOVERFLOW EPERM")
	CALL(dup,                    DESC,               0,                 FD(0),                        DUP,          "EBADF EMFILE")
	CALL(dup2,                   DESC,               0,                 FD(0),                        DUP,          "EBADF EBUSY EINTR EMFILE")
	CALL(pause,                  SIG,                0,                 NONE,                         ALONE,        "EINTR")
	CALL(nanosleep,              0,                  0,                 NONE,                         SLEEP,        "EINTR EINVAL")
	CALL(getitimer,              0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(alarm,                  0,                  0,                 NONE,                         ALONE,        "")
	CALL(setitimer,              0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(getpid,                 0,                  0,                 NONE,                         ALONE,        "")
	CALL(sendfile,               DESC | NET,         SHORT,             FDS_COUNT(0, 1, 3),           ALONE,        "EAGAIN EBADF EINVAL EIO ENOMEM EOVERFLOW ESPIPE")
	CALL(socket,                 NET,                0,                 NONE,                         ALONE,        "EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS ENOMEM EPROTONOSUPPORT")
	CALL(connect,                NET,                0,                 FD_ADDRESS(0, 1, 2),          ALONE,        "EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNREFUSED EINPROGRESS EINTR EISCONN ENETUNREACH ENOTSOCK EPERM EPROTOTYPE ETIMEDOUT")
	CALL(accept,                 NET,                0,                 FD(0),                        ACCEPT,       MAY_ACCEPT)
	CALL(sendto,                 NET,                SHORT,             FD_COUNT_ADDRESS(0, 2, 4, 5), SEND,         MAY_SEND)
	CALL(recvfrom,               NET,                SHORT,             FD_COUNT(0, 2),               RECEIVE,      MAY_RECEIVE)
	CALL(sendmsg,                NET,                SHORT,             FD(0),                        SEND,         MAY_SEND)
	CALL(recvmsg,                NET,                SHORT,             FD(0),                        RECEIVE,      MAY_RECEIVE)
	CALL(shutdown,               NET,                0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOTCONN ENOTSOCK")
	CALL(bind,                   NET,                0,                 FD_ADDRESS(0, 1, 2),          ALONE,        "EADDRINUSE EADDRNOTAVAIL EBADF EINVAL ENOTSOCK EROFS " WALK)
	CALL(listen,                 NET,                0,                 FD(0),                        ALONE,        "EADDRINUSE EBADF ENOTSOCK EOPNOTSUPP")
	CALL(getsockname,            NET,                0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOBUFS ENOTSOCK")
	CALL(getpeername,            NET,                0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOBUFS ENOTCONN ENOTSOCK")
	CALL(socketpair,             NET,                0,                 NONE,                         ALONE,        "EAFNOSUPPORT EMFILE ENFILE EOPNOTSUPP EPROTONOSUPPORT")
	CALL(setsockopt,             NET,                0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOPROTOOPT ENOTSOCK")
	CALL(getsockopt,             NET,                0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOPROTOOPT ENOTSOCK")
	CALL(clone,                  PROC,               0,                 NONE,                         FORK,         "EAGAIN EINVAL ENOMEM ENOSPC EPERM")
	CALL(fork,                   PROC,               0,                 NONE,                         FORK,         "EAGAIN ENOMEM")
	CALL(vfork,                  PROC,               0,                 NONE,                         FORK,         "EAGAIN ENOMEM")
	CALL(execve,                 FILES | PROC,       0,                 PATH(0),                      EXEC,         MAY_EXEC WALK)
	CALL(exit,                   PROC,               NOTIFY | NORETURN, NONE,                         ALONE,        "")
	CALL(wait4,                  PROC,               0,                 NONE,                         WAIT,         "ECHILD EINTR EINVAL ESRCH")
	CALL(kill,                   PROC | SIG,         0,                 NONE,                         KILL,         "EINVAL EPERM ESRCH")
	CALL(uname,                  0,                  0,                 NONE,                         ALONE,        "")
	CALL(semget,                 IPC,                0,                 NONE,                         ALONE,        "EACCES EEXIST EINVAL ENOENT ENOMEM ENOSPC")
	CALL(semop,                  IPC,                0,                 NONE,                         SEMOP,        "E2BIG EACCES EAGAIN EFBIG EIDRM EINTR EINVAL ENOMEM ERANGE")
	CALL(semctl,                 IPC,                0,                 NONE,                         ALONE,        "EACCES EIDRM EINVAL EPERM ERANGE")
	CALL(shmdt,                  MEM | IPC,          0,                 NONE,                         ALONE,        "EINVAL")
	CALL(msgget,                 IPC,                0,                 NONE,                         ALONE,        "EACCES EEXIST ENOENT ENOMEM ENOSPC")
	CALL(msgsnd,                 IPC,                0,                 COUNT(2),                     ALONE,        "EACCES EAGAIN EIDRM EINTR EINVAL ENOMEM")
	CALL(msgrcv,                 IPC,                0,                 COUNT(2),                     ALONE,        "E2BIG EACCES EIDRM EINTR EINVAL ENOMSG")
	CALL(msgctl,                 IPC,                0,                 NONE,                         ALONE,        "EACCES EIDRM EINVAL EPERM")
	CALL(fcntl,                  DESC,               0,                 FD(0),                        ALONE,        "EACCES EAGAIN EBADF EBUSY EDEADLK EINTR EINVAL EMFILE ENOLCK ENOTDIR EPERM")
	CALL(flock,                  DESC,               0,                 FD(0),                        ALONE,        "EAGAIN EBADF EINTR EINVAL ENOLCK")
	CALL(fsync,                  DESC | SYNC,        0,                 FD(0),                        SYNC,         "EIO EBADF EDQUOT EINTR EINVAL ENOSPC EROFS")
	CALL(fdatasync,              DESC | SYNC,        0,                 FD(0),                        SYNC,         "EIO EBADF EDQUOT EINTR EINVAL ENOSPC EROFS")
	CALL(truncate,               FILES,              0,                 PATH(0),                      ALONE,        "EFBIG EINTR EINVAL EIO EISDIR EPERM EROFS ETXTBSY " WALK)
	CALL(ftruncate,              DESC,               0,                 FD(0),                        ALONE,        "EBADF EFBIG EINTR EINVAL EIO EPERM EROFS ETXTBSY")
	CALL(getdents,               DESC,               0,                 FD_COUNT(0, 2),               GETDENTS,     "EBADF EINVAL ENOENT ENOTDIR")
	CALL(getcwd,                 FILES,              0,                 COUNT(1),                     ALONE,        "EACCES EINVAL ENAMETOOLONG ENOENT ENOMEM ERANGE")
	CALL(chdir,                  FILES,              0,                 PATH(0),                      ALONE,        "EIO " WALK)
	CALL(fchdir,                 DESC,               0,                 FD(0),                        ALONE,        "EACCES EBADF ENOTDIR")
	CALL(rename,                 FILES,              0,                 PATHS(0, 1),                  RENAME,       MAY_RENAME WALK)
	CALL(mkdir,                  FILES,              0,                 PATH(0),                      MKDIR,        "EDQUOT EEXIST EINVAL EMLINK ENOSPC EPERM EROFS " WALK)
	CALL(rmdir,                  FILES,              0,                 PATH(0),                      UNLINK,       "EBUSY EINVAL ENOTEMPTY EPERM EROFS " WALK)
	CALL(creat,                  FILES | DESC,       0,                 PATH(0),                      OPEN,         MAY_OPEN WALK)
	CALL(link,                   FILES,              0,                 PATHS(0, 1),                  LINK,         "EDQUOT EEXIST EIO EMLINK ENOSPC EPERM EROFS EXDEV " WALK)
	CALL(unlink,                 FILES,              0,                 PATH(0),                      UNLINK,       "EBUSY EIO EISDIR EPERM EROFS " WALK)
	CALL(symlink,                FILES,              0,                 PATH(1),                      SYMLINK,      "EDQUOT EEXIST EIO ENOSPC EPERM EROFS " WALK)
	CALL(readlink,               FILES,              0,                 PATH_COUNT(0, 2),             READLINK,     "EINVAL EIO " WALK)
	CALL(chmod,                  FILES,              0,                 PATH(0),                      CHMOD,        "EIO EPERM EROFS " WALK)
	CALL(fchmod,                 DESC,               0,                 FD(0),                        CHMOD,        "EBADF EIO EPERM EROFS")
	CALL(chown,                  FILES,              0,                 PATH(0),                      CHOWN,        "EIO EPERM EROFS " WALK)
	CALL(fchown,                 DESC,               0,                 FD(0),                        CHOWN,        "EBADF EIO EPERM EROFS")
	CALL(lchown,                 FILES,              0,                 PATH(0),                      CHOWN,        "EIO EPERM EROFS " WALK)
	CALL(umask,                  0,                  0,                 NONE,                         ALONE,        "")
	CALL(gettimeofday,           CLOCK,              VDSO,              NONE,                         TIME,         "")
	CALL(getrlimit,              0,                  0,                 NONE,                         RLIMIT,       "EINVAL")
	CALL(getrusage,              0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(sysinfo,                0,                  0,                 NONE,                         ALONE,        "")
	CALL(times,                  0,                  0,                 NONE,                         ALONE,        "")
	CALL(ptrace,                 0,                  0,                 NONE,                         ALONE,        "EBUSY EINVAL EIO EPERM ESRCH")
	CALL(getuid,                 CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(syslog,                 0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM")
	CALL(getgid,                 CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(setuid,                 CREDS,              0,                 NONE,                         ALONE,        "EAGAIN EINVAL EPERM")
	CALL(setgid,                 CREDS,              0,                 NONE,                         ALONE,        "EINVAL EPERM")
	CALL(geteuid,                CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(getegid,                CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(setpgid,                0,                  0,                 NONE,                         ALONE,        "EACCES EINVAL EPERM ESRCH")
	CALL(getppid,                0,                  0,                 NONE,                         ALONE,        "")
	CALL(getpgrp,                0,                  0,                 NONE,                         ALONE,        "")
	CALL(setsid,                 0,                  0,                 NONE,                         ALONE,        "EPERM")
	CALL(setreuid,               CREDS,              0,                 NONE,                         ALONE,        "EAGAIN EINVAL EPERM")
	CALL(setregid,               CREDS,              0,                 NONE,                         ALONE,        "EAGAIN EINVAL EPERM")
	CALL(getgroups,              CREDS,              0,                 NONE,                         ALONE,        "EINVAL")
	CALL(setgroups,              CREDS,              0,                 NONE,                         ALONE,        "EINVAL ENOMEM EPERM")
	CALL(setresuid,              CREDS,              0,                 NONE,                         ALONE,        "EAGAIN EINVAL EPERM")
	CALL(getresuid,              CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(setresgid,              CREDS,              0,                 NONE,                         ALONE,        "EAGAIN EINVAL EPERM")
	CALL(getresgid,              CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(getpgid,                0,                  0,                 NONE,                         ALONE,        "EPERM ESRCH")
	CALL(setfsuid,               CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(setfsgid,               CREDS,              0,                 NONE,                         ALONE,        "")
	CALL(getsid,                 0,                  0,                 NONE,                         ALONE,        "EPERM ESRCH")
	CALL(capget,                 CREDS,              0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(capset,                 CREDS,              0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(rt_sigpending,          SIG,                0,                 NONE,                         ALONE,        "")
	CALL(rt_sigtimedwait,        SIG,                0,                 NONE,                         ALONE,        "EAGAIN EINTR EINVAL")
	CALL(rt_sigqueueinfo,        PROC | SIG,         0,                 NONE,                         ALONE,        "EAGAIN EINVAL EPERM ESRCH")
	CALL(rt_sigsuspend,          SIG,                0,                 NONE,                         ALONE,        "EINTR")
	CALL(sigaltstack,            SIG,                0,                 NONE,                         ALONE,        "EINVAL ENOMEM EPERM")
	CALL(utime,                  FILES,              0,                 PATH(0),                      UTIME,        "EPERM EROFS EACCES ENOENT")
	CALL(mknod,                  FILES,              0,                 PATH(0),                      MKNOD,        "EDQUOT EEXIST EINVAL ENOSPC EPERM EROFS " WALK)
	CALL(uselib,                 FILES,              0,                 PATH(0),                      ALONE,        "")
	CALL(personality,            0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(ustat,                  0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(statfs,                 FILES,              0,                 PATH(0),                      STATFS,       "EINTR EIO EOVERFLOW " WALK)
	CALL(fstatfs,                DESC,               0,                 FD(0),                        STATFS,       "EBADF EINTR EIO ENOMEM EOVERFLOW")
	CALL(sysfs,                  0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(getpriority,            0,                  0,                 NONE,                         ALONE,        "EINVAL ESRCH")
	CALL(setpriority,            0,                  0,                 NONE,                         ALONE,        "EACCES EINVAL EPERM ESRCH")
	CALL(sched_setparam,         0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(sched_getparam,         0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(sched_setscheduler,     0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(sched_getscheduler,     0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(sched_get_priority_max, 0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(sched_get_priority_min, 0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(sched_rr_get_interval,  0,                  0,                 NONE,                         ALONE,        "EINVAL ESRCH")
	CALL(mlock,                  MEM,                0,                 COUNT(1),                     MLOCK,        "EAGAIN EINVAL ENOMEM EPERM")
	CALL(munlock,                MEM,                0,                 COUNT(1),                     ALONE,        "EAGAIN EINVAL ENOMEM EPERM")
	CALL(mlockall,               MEM,                0,                 NONE,                         ALONE,        "EINVAL ENOMEM EPERM")
	CALL(munlockall,             MEM,                0,                 NONE,                         ALONE,        "EPERM")
	CALL(vhangup,                0,                  0,                 NONE,                         ALONE,        "EPERM")
	CALL(modify_ldt,             0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(pivot_root,             FILES,              0,                 PATHS(0, 1),                  ALONE,        "EBUSY EINVAL EPERM " WALK)
	CALL(_sysctl,                0,                  0,                 NONE,                         ALONE,        "")
	CALL(prctl,                  CREDS,              0,                 NONE,                         ALONE,        "EACCES EBADF EBUSY EINVAL ENODEV ENXIO EOPNOTSUPP EPERM ERANGE")
	CALL(arch_prctl,             0,                  0,                 NONE,                         ALONE,        "EINVAL ENODEV EPERM")
	CALL(adjtimex,               CLOCK,              0,                 NONE,                         ADJTIME,      "EINVAL ENODEV EOPNOTSUPP EPERM")
	CALL(setrlimit,              0,                  0,                 NONE,                         RLIMIT,       "EINVAL EPERM")
	CALL(chroot,                 FILES,              0,                 PATH(0),                      ALONE,        "EIO EPERM " WALK)
	CALL(sync,                   SYNC,               0,                 NONE,                         SYNC,         "")
	CALL(acct,                   FILES,              0,                 PATH(0),                      ALONE,        "EIO EISDIR ENFILE EPERM EROFS " WALK)
	CALL(settimeofday,           CLOCK,              0,                 NONE,                         SETTIME,      "EINVAL EPERM")
	CALL(mount,                  FILES,              0,                 PATHS(0, 1),                  ALONE,        "EBUSY EINVAL EMFILE ENODEV ENOTBLK ENXIO EPERM EROFS " WALK)
	CALL(umount2,                FILES,              0,                 PATH(0),                      ALONE,        "EAGAIN EBUSY EINVAL EPERM " WALK)
	CALL(swapon,                 FILES,              0,                 PATH(0),                      ALONE,        "EBUSY EINVAL ENFILE EPERM " WALK)
	CALL(swapoff,                FILES,              0,                 PATH(0),                      ALONE,        "EINVAL EPERM " WALK)
	CALL(reboot,                 0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM")
	CALL(sethostname,            0,                  0,                 NONE,                         ALONE,        "EINVAL ENAMETOOLONG EPERM")
	CALL(setdomainname,          0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM")
	CALL(iopl,                   0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM")
	CALL(ioperm,                 0,                  0,                 NONE,                         ALONE,        "EINVAL EIO ENOMEM EPERM")
	CALL(create_module,          0,                  0,                 NONE,                         ALONE,        "")
	CALL(init_module,            0,                  0,                 NONE,                         MODULE,       "EBADMSG EBUSY EEXIST EINVAL ENOEXEC ENOKEY ENOMEM EPERM")
	CALL(delete_module,          0,                  0,                 NONE,                         ALONE,        "EAGAIN EBUSY ENOENT EPERM")
	CALL(get_kernel_syms,        0,                  0,                 NONE,                         ALONE,        "")
	CALL(query_module,           0,                  0,                 NONE,                         ALONE,        "")
	CALL(quotactl,               FILES,              0,                 PATH(1),                      ALONE,        "EBUSY EINVAL ENOTBLK EPERM ERANGE ESRCH " WALK)
	CALL(nfsservctl,             0,                  0,                 NONE,                         ALONE,        "")
	CALL(getpmsg,                NET,                0,                 NONE,                         ALONE,        "")
	CALL(putpmsg,                NET,                0,                 NONE,                         ALONE,        "")
	CALL(afs_syscall,            0,                  0,                 NONE,                         ALONE,        "")
	CALL(tuxcall,                0,                  0,                 NONE,                         ALONE,        "")
	CALL(security,               0,                  0,                 NONE,                         ALONE,        "")
	CALL(gettid,                 0,                  0,                 NONE,                         ALONE,        "")
	CALL(readahead,              DESC,               0,                 FD_COUNT(0, 2),               ALONE,        "EBADF EINVAL")
	CALL(setxattr,               FILES,              0,                 PATH_COUNT(0, 3),             SETXATTR,     "EDQUOT EEXIST ENODATA ENOSPC EOPNOTSUPP EPERM ERANGE " WALK)
	CALL(lsetxattr,              FILES,              0,                 PATH_COUNT(0, 3),             SETXATTR,     "EDQUOT EEXIST ENODATA ENOSPC EOPNOTSUPP EPERM ERANGE " WALK)
	CALL(fsetxattr,              DESC,               0,                 FD_COUNT(0, 3),               SETXATTR,     "EBADF EDQUOT EEXIST ENODATA ENOSPC EOPNOTSUPP EPERM ERANGE")
	CALL(getxattr,               FILES,              0,                 PATH_COUNT(0, 3),             GETXATTR,     "E2BIG ENODATA EOPNOTSUPP ERANGE " WALK)
	CALL(lgetxattr,              FILES,              0,                 PATH_COUNT(0, 3),             GETXATTR,     "E2BIG ENODATA EOPNOTSUPP ERANGE " WALK)
	CALL(fgetxattr,              DESC,               0,                 FD_COUNT(0, 3),               GETXATTR,     "E2BIG EBADF ENODATA EOPNOTSUPP ERANGE")
	CALL(listxattr,              FILES,              0,                 PATH_COUNT(0, 2),             LISTXATTR,    "E2BIG EOPNOTSUPP ERANGE " WALK)
	CALL(llistxattr,             FILES,              0,                 PATH_COUNT(0, 2),             LISTXATTR,    "E2BIG EOPNOTSUPP ERANGE " WALK)
	CALL(flistxattr,             DESC,               0,                 FD_COUNT(0, 2),               LISTXATTR,    "E2BIG EBADF EOPNOTSUPP ERANGE")
	CALL(removexattr,            FILES,              0,                 PATH(0),                      REMOVEXATTR,  "ENODATA EOPNOTSUPP EPERM " WALK)
	CALL(lremovexattr,           FILES,              0,                 PATH(0),                      REMOVEXATTR,  "ENODATA EOPNOTSUPP EPERM " WALK)
	CALL(fremovexattr,           DESC,               0,                 FD(0),                        REMOVEXATTR,  "EBADF ENODATA EOPNOTSUPP EPERM")
	CALL(tkill,                  PROC | SIG,         0,                 NONE,                         KILL,         "EAGAIN EINVAL EPERM ESRCH")
	CALL(time,                   CLOCK,              VDSO,              NONE,                         TIME,         "")
	CALL(futex,                  0,                  0,                 NONE,                         ALONE,        "EACCES EAGAIN EDEADLK EINTR EINVAL ENFILE ENOMEM EPERM ESRCH ETIMEDOUT")
	CALL(sched_setaffinity,      0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(sched_getaffinity,      0,                  0,                 NONE,                         ALONE,        "EINVAL ESRCH")
	CALL(set_thread_area,        0,                  0,                 NONE,                         ALONE,        "EINVAL ESRCH")
	CALL(io_setup,               MEM,                0,                 NONE,                         ALONE,        "EAGAIN EINVAL ENOMEM")
	CALL(io_destroy,             MEM,                0,                 NONE,                         ALONE,        "EINVAL")
	CALL(io_getevents,           0,                  0,                 NONE,                         AIO_WAIT,     "EINTR EINVAL")
	CALL(io_submit,              0,                  0,                 NONE,                         ALONE,        "EAGAIN EBADF EINVAL EPERM")
	CALL(io_cancel,              0,                  0,                 NONE,                         ALONE,        "EAGAIN EINVAL")
	CALL(get_thread_area,        0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(lookup_dcookie,         0,                  0,                 NONE,                         ALONE,        "")
	CALL(epoll_create,           DESC,               0,                 NONE,                         EPOLL_CREATE, "EINVAL EMFILE ENFILE ENOMEM")
	CALL(epoll_ctl_old,          0,                  0,                 NONE,                         ALONE,        "")
	CALL(epoll_wait_old,         0,                  0,                 NONE,                         ALONE,        "")
	CALL(remap_file_pages,       MEM,                0,                 COUNT(1),                     ALONE,        "EINVAL")
	CALL(getdents64,             DESC,               0,                 FD_COUNT(0, 2),               GETDENTS,     "EBADF EINVAL ENOENT ENOTDIR")
	CALL(set_tid_address,        0,                  0,                 NONE,                         ALONE,        "")
	CALL(restart_syscall,        0,                  NOTIFY,            NONE,                         ALONE,        "")
	CALL(semtimedop,             IPC,                0,                 NONE,                         SEMOP,        "E2BIG EACCES EAGAIN EFBIG EIDRM EINTR EINVAL ENOMEM ERANGE")
	CALL(fadvise64,              DESC,               0,                 FD_COUNT(0, 2),               ALONE,        "EBADF EINVAL ESPIPE")
	CALL(timer_create,           0,                  0,                 NONE,                         ALONE,        "EAGAIN EINVAL ENOMEM EOPNOTSUPP EPERM")
	CALL(timer_settime,          0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(timer_gettime,          0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(timer_getoverrun,       0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(timer_delete,           0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(clock_settime,          CLOCK,              0,                 NONE,                         SETTIME,      "EACCES EINVAL ENODEV EOPNOTSUPP EPERM")
	CALL(clock_gettime,          CLOCK,              VDSO,              NONE,                         TIME,         "EINVAL ENODEV")
	CALL(clock_getres,           CLOCK,              VDSO,              NONE,                         ALONE,        "EINVAL ENODEV")
	CALL(clock_nanosleep,        0,                  0,                 NONE,                         SLEEP,        "EINTR EINVAL EOPNOTSUPP")
	CALL(exit_group,             PROC,               NOTIFY | NORETURN, NONE,                         ALONE,        "")
	CALL(epoll_wait,             DESC,               0,                 FD(0),                        EPOLL_WAIT,   "EBADF EINTR EINVAL")
	CALL(epoll_ctl,              DESC,               0,                 FDS(0, 2),                    ALONE,        "EBADF EEXIST EINVAL ELOOP ENOENT ENOMEM ENOSPC EPERM")
	CALL(tgkill,                 PROC | SIG,         0,                 NONE,                         KILL,         "EAGAIN EINVAL EPERM ESRCH")
	CALL(utimes,                 FILES,              0,                 PATH(0),                      UTIME,        "EPERM EROFS EACCES ENOENT")
	CALL(vserver,                0,                  0,                 NONE,                         ALONE,        "")
	CALL(mbind,                  MEM,                0,                 COUNT(1),                     ALONE,        "EINVAL EIO ENOMEM EPERM")
	CALL(set_mempolicy,          MEM,                0,                 NONE,                         ALONE,        "EINVAL ENOMEM")
	CALL(get_mempolicy,          MEM,                0,                 NONE,                         ALONE,        "EINVAL")
	CALL(mq_open,                DESC,               0,                 NONE,                         ALONE,        "EACCES EEXIST EINVAL EMFILE ENAMETOOLONG ENFILE ENOENT ENOMEM ENOSPC")
	CALL(mq_unlink,              0,                  0,                 NONE,                         ALONE,        "EACCES ENAMETOOLONG ENOENT")
	CALL(mq_timedsend,           DESC,               0,                 FD_COUNT(0, 2),               ALONE,        "EAGAIN EBADF EINTR EINVAL EMSGSIZE ETIMEDOUT")
	CALL(mq_timedreceive,        DESC,               0,                 FD_COUNT(0, 2),               ALONE,        "EAGAIN EBADF EINTR EINVAL EMSGSIZE ETIMEDOUT")
	CALL(mq_notify,              DESC,               0,                 FD(0),                        ALONE,        "EBADF EBUSY EINVAL ENOMEM")
	CALL(mq_getsetattr,          DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL")
	CALL(kexec_load,             0,                  0,                 NONE,                         KEXEC,        "EADDRNOTAVAIL EBUSY EINVAL EPERM")
	CALL(waitid,                 PROC,               0,                 NONE,                         WAIT,         "ECHILD EINTR EINVAL ESRCH")
	CALL(add_key,                0,                  0,                 NONE,                         ALONE,        "EACCES EDQUOT EINVAL EKEYEXPIRED EKEYREVOKED ENOKEY ENOMEM EPERM")
	CALL(request_key,            0,                  0,                 NONE,                         ALONE,        "EACCES EDQUOT EINTR EINVAL EKEYEXPIRED EKEYREJECTED EKEYREVOKED ENOKEY ENOMEM EPERM")
	CALL(keyctl,                 0,                  0,                 NONE,                         ALONE,        "EACCES EAGAIN EDEADLK EDQUOT EEXIST EINVAL EKEYEXPIRED EKEYREJECTED EKEYREVOKED ELOOP EMSGSIZE ENFILE ENOENT ENOKEY ENOMEM ENOTDIR EOPNOTSUPP EPERM ETIMEDOUT")
	CALL(ioprio_set,             0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(ioprio_get,             0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(inotify_init,           DESC,               0,                 NONE,                         INOTIFY,      "EMFILE ENFILE ENOMEM")
	CALL(inotify_add_watch,      FILES | DESC,       0,                 FD_PATH(0, 1),                ALONE,        "EACCES EBADF EEXIST EINVAL ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR")
	CALL(inotify_rm_watch,       DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL")
	CALL(migrate_pages,          MEM,                0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(openat,                 FILES | DESC,       0,                 AT(0, 1),                     OPEN,         "EBADF " MAY_OPEN WALK)
	CALL(mkdirat,                FILES | DESC,       0,                 AT(0, 1),                     MKDIR,        "EBADF EDQUOT EEXIST EINVAL EMLINK ENOSPC EPERM EROFS " WALK)
	CALL(mknodat,                FILES | DESC,       0,                 AT(0, 1),                     MKNOD,        "EBADF EDQUOT EEXIST EINVAL ENOSPC EPERM EROFS " WALK)
	CALL(fchownat,               FILES | DESC,       0,                 AT(0, 1),                     CHOWN,        "EBADF EINVAL EIO EPERM EROFS " WALK)
	CALL(futimesat,              FILES | DESC,       0,                 AT(0, 1),                     UTIME,        "EBADF EPERM EROFS EACCES ENOENT ENOTDIR")
	CALL(newfstatat,             FILES | DESC,       0,                 AT(0, 1),                     STAT,         "EBADF EINVAL EOVERFLOW " WALK)
	CALL(unlinkat,               FILES | DESC,       0,                 AT(0, 1),                     UNLINK,       "EBADF EBUSY EINVAL EIO EISDIR ENOTEMPTY EPERM EROFS " WALK)
	CALL(renameat,               FILES | DESC,       0,                 ATS(0, 1, 2, 3),              RENAME,       "EBADF " MAY_RENAME WALK)
	CALL(linkat,                 FILES | DESC,       0,                 ATS(0, 1, 2, 3),              LINK,         "EBADF EINVAL EDQUOT EEXIST EIO EMLINK ENOSPC EPERM EROFS EXDEV " WALK)
	CALL(symlinkat,              FILES | DESC,       0,                 AT(1, 2),                     SYMLINK,      "EBADF EDQUOT EEXIST EIO ENOSPC EPERM EROFS " WALK)
	CALL(readlinkat,             FILES | DESC,       0,                 AT_COUNT(0, 1, 3),            READLINK,     "EBADF EINVAL EIO " WALK)
	CALL(fchmodat,               FILES | DESC,       0,                 AT(0, 1),                     CHMOD,        "EBADF EINVAL EIO EOPNOTSUPP EPERM EROFS " WALK)
	CALL(faccessat,              FILES | DESC,       0,                 AT(0, 1),                     ACCESS,       "EBADF EINVAL EIO EPERM EROFS ETXTBSY " WALK)
	CALL(pselect6,               DESC,               0,                 NONE,                         SELECT,       "EBADF EINTR EINVAL ENOMEM")
	CALL(ppoll,                  DESC,               0,                 NONE,                         POLL,         "EINTR EINVAL ENOMEM")
	CALL(unshare,                0,                  0,                 NONE,                         ALONE,        "EINVAL ENOMEM ENOSPC EPERM")
	CALL(set_robust_list,        0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(get_robust_list,        0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM ESRCH")
	CALL(splice,                 DESC,               SHORT,             FDS_COUNT(0, 2, 4),           ALONE,        "EAGAIN EBADF EINVAL ENOMEM ESPIPE")
	CALL(tee,                    DESC,               SHORT,             FDS_COUNT(0, 1, 2),           ALONE,        "EAGAIN EINVAL ENOMEM")
	CALL(sync_file_range,        DESC | SYNC,        0,                 FD_COUNT(0, 2),               SYNC,         "EIO EBADF EINVAL ENOMEM ENOSPC ESPIPE")
	CALL(vmsplice,               DESC,               SHORT,             FD(0),                        ALONE,        "EAGAIN EBADF EINVAL ENOMEM")
	CALL(move_pages,             MEM,                0,                 NONE,                         ALONE,        "E2BIG EACCES EINVAL ENODEV EPERM ESRCH")
	CALL(utimensat,              FILES | DESC,       0,                 AT(0, 1),                     UTIME,        "EBADF EINVAL EPERM EROFS ESRCH " WALK)
	CALL(epoll_pwait,            DESC,               0,                 FD(0),                        EPOLL_WAIT,   "EBADF EINTR EINVAL")
	CALL(signalfd,               DESC | SIG,         0,                 FD(0),                        SIGNALFD,     "EBADF EINVAL EMFILE ENFILE ENODEV ENOMEM")
	CALL(timerfd_create,         DESC,               0,                 NONE,                         ALONE,        "EINVAL EMFILE ENFILE ENODEV ENOMEM EPERM")
	CALL(eventfd,                DESC,               0,                 NONE,                         EVENTFD,      "EMFILE ENFILE ENODEV ENOMEM")
	CALL(fallocate,              DESC,               0,                 FD_COUNT(0, 3),               ALONE,        "EBADF EFBIG EINTR EINVAL EIO ENODEV ENOSPC EOPNOTSUPP EPERM ESPIPE ETXTBSY")
	CALL(timerfd_settime,        DESC,               0,                 FD(0),                        ALONE,        "EBADF ECANCELED EINVAL")
	CALL(timerfd_gettime,        DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL")
	CALL(accept4,                NET,                0,                 FD(0),                        ACCEPT,       MAY_ACCEPT)
	CALL(signalfd4,              DESC | SIG,         0,                 FD(0),                        SIGNALFD,     "EBADF EINVAL EMFILE ENFILE ENODEV ENOMEM")
	CALL(eventfd2,               DESC,               0,                 NONE,                         EVENTFD,      "EINVAL EMFILE ENFILE ENODEV ENOMEM")
	CALL(epoll_create1,          DESC,               0,                 NONE,                         EPOLL_CREATE, "EINVAL EMFILE ENFILE ENOMEM")
	CALL(dup3,                   DESC,               0,                 FD(0),                        DUP,          "EBADF EBUSY EINTR EINVAL EMFILE")
	CALL(pipe2,                  DESC,               0,                 NONE,                         PIPE,         "EINVAL EMFILE ENFILE ENOPKG")
	CALL(inotify_init1,          DESC,               0,                 NONE,                         INOTIFY,      "EINVAL EMFILE ENFILE ENOMEM")
	CALL(preadv,                 DESC,               SHORT,             FD(0),                        READ,         MAY_READ " ENXIO EOVERFLOW ESPIPE")
	CALL(pwritev,                DESC,               SHORT,             FD(0),                        WRITE,        MAY_WRITE " ENXIO EOVERFLOW ESPIPE")
	CALL(rt_tgsigqueueinfo,      PROC | SIG,         0,                 NONE,                         ALONE,        "EAGAIN EINVAL EPERM ESRCH")
	CALL(perf_event_open,        DESC,               0,                 FD(3),                        ALONE,        "E2BIG EACCES EBADF EBUSY EINTR EINVAL EMFILE ENODEV ENOENT ENOSPC EOPNOTSUPP EOVERFLOW EPERM ESRCH")
	CALL(recvmmsg,               NET,                0,                 FD(0),                        RECEIVE,      MAY_RECEIVE)
	CALL(fanotify_init,          DESC,               0,                 NONE,                         ALONE,        "EINVAL EMFILE ENOMEM EPERM")
	CALL(fanotify_mark,          FILES | DESC,       0,                 FD_AT(0, 3, 4),               ALONE,        "EBADF EEXIST EINVAL EISDIR ENODEV ENOENT ENOMEM ENOSPC ENOTDIR EOPNOTSUPP EPERM EXDEV")
	CALL(prlimit64,              0,                  0,                 NONE,                         RLIMIT,       "EINVAL EPERM ESRCH")
	CALL(name_to_handle_at,      FILES | DESC,       0,                 AT(0, 1),                     ALONE,        "EBADF EINVAL EOPNOTSUPP EOVERFLOW " WALK)
	CALL(open_by_handle_at,      DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL ELOOP EPERM ESTALE")
	CALL(clock_adjtime,          CLOCK,              0,                 NONE,                         ADJTIME,      "EINVAL ENODEV EOPNOTSUPP EPERM")
	CALL(syncfs,                 DESC | SYNC,        0,                 FD(0),                        SYNC,         "EBADF EDQUOT EIO ENOSPC")
	CALL(sendmmsg,               NET,                0,                 FD(0),                        SEND,         MAY_SEND)
	CALL(setns,                  DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOMEM EPERM ESRCH")
	CALL(getcpu,                 0,                  VDSO,              NONE,                         ALONE,        "")
	CALL(process_vm_readv,       0,                  SHORT,             NONE,                         ALONE,        "EINVAL ENOMEM EPERM ESRCH")
	CALL(process_vm_writev,      0,                  SHORT,             NONE,                         ALONE,        "EINVAL ENOMEM EPERM ESRCH")
	CALL(kcmp,                   0,                  0,                 NONE,                         ALONE,        "EBADF EINVAL ENOENT EPERM ESRCH")
	CALL(finit_module,           DESC,               0,                 FD(0),                        MODULE,       "EBADF EBADMSG EBUSY EEXIST EFBIG EINVAL ENOEXEC ENOKEY ENOMEM EPERM ETXTBSY")
	CALL(sched_setattr,          0,                  0,                 NONE,                         ALONE,        "E2BIG EBUSY EINVAL EPERM ESRCH")
	CALL(sched_getattr,          0,                  0,                 NONE,                         ALONE,        "E2BIG EBUSY EINVAL EPERM ESRCH")
	CALL(renameat2,              FILES | DESC,       0,                 ATS(0, 1, 2, 3),              RENAME,       "EBADF " MAY_RENAME WALK)
	CALL(seccomp,                0,                  NOTIFY,            NONE,                         ALONE,        "EACCES EBUSY EINVAL ENOMEM EOPNOTSUPP ESRCH")
	CALL(getrandom,              0,                  SHORT,             COUNT(1),                     ALONE,        "EAGAIN EINTR EINVAL")
	CALL(memfd_create,           DESC,               0,                 NONE,                         ALONE,        "EINVAL EMFILE ENFILE ENOMEM")
	CALL(kexec_file_load,        DESC,               0,                 FDS(0, 1),                    KEXEC,        "EBADF EBUSY EINVAL ENOEXEC ENOMEM EPERM")
	CALL(bpf,                    DESC,               0,                 NONE,                         ALONE,        "E2BIG EACCES EBADF EINVAL ENOENT ENOMEM EPERM")
	CALL(execveat,               FILES | DESC | PROC,0,                 AT(0, 1),                     EXEC,         "EBADF " MAY_EXEC WALK)
	CALL(userfaultfd,            DESC,               0,                 NONE,                         ALONE,        "EINVAL EMFILE ENFILE ENOMEM EPERM")
	CALL(membarrier,             0,                  0,                 NONE,                         ALONE,        "EINVAL EPERM")
	CALL(mlock2,                 MEM,                0,                 COUNT(1),                     MLOCK,        "EAGAIN EINVAL ENOMEM EPERM")
	CALL(copy_file_range,        DESC,               SHORT,             FDS_COUNT(0, 2, 4),           ALONE,        "EBADF EFBIG EINVAL EIO EISDIR ENOMEM ENOSPC EOPNOTSUPP EOVERFLOW EPERM ETXTBSY EXDEV")
	CALL(preadv2,                DESC,               SHORT,             FD(0),                        READ,         MAY_READ " ENXIO EOPNOTSUPP EOVERFLOW ESPIPE")
	CALL(pwritev2,               DESC,               SHORT,             FD(0),                        WRITE,        MAY_WRITE " ENXIO EOPNOTSUPP EOVERFLOW ESPIPE")
	CALL(pkey_mprotect,          MEM,                0,                 COUNT(1),                     MPROTECT,     "EACCES EINVAL ENOMEM")
	CALL(pkey_alloc,             0,                  0,                 NONE,                         ALONE,        "EINVAL ENOSPC")
	CALL(pkey_free,              0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(statx,                  FILES | DESC,       0,                 AT(0, 1),                     STAT,         "EBADF EINVAL " WALK)
	CALL(io_pgetevents,          0,                  0,                 NONE,                         AIO_WAIT,     "EINTR EINVAL")
	CALL(rseq,                   0,                  0,                 NONE,                         ALONE,        "EBUSY EINVAL EPERM")
	CALL(pidfd_send_signal,      DESC | PROC | SIG,  0,                 FD(0),                        ALONE,        "EBADF EINVAL EPERM ESRCH")
	CALL(io_uring_setup,         DESC,               0,                 NONE,                         ALONE,        "EINVAL EMFILE ENFILE ENOMEM EPERM")
	CALL(io_uring_enter,         DESC | SIG,         0,                 FD(0),                        ALONE,        "EAGAIN EBADF EBADFD EBUSY EINTR EINVAL ENXIO EOPNOTSUPP")
	CALL(io_uring_register,      DESC | MEM,         0,                 FD(0),                        ALONE,        "EACCES EBADF EBADFD EBUSY EEXIST EINVAL EMFILE ENOMEM ENXIO EOPNOTSUPP")
	CALL(open_tree,              FILES | DESC,       0,                 AT(0, 1),                     ALONE,        "EBADF EINVAL EMFILE ENFILE EPERM " WALK)
	CALL(move_mount,             FILES | DESC,       0,                 ATS(0, 1, 2, 3),              ALONE,        "EBADF EBUSY EINVAL EPERM " WALK)
	CALL(fsopen,                 DESC,               0,                 NONE,                         ALONE,        "EBUSY EINVAL EMFILE ENFILE ENODEV ENOMEM EPERM")
	CALL(fsconfig,               FILES | DESC,       0,                 FD(0),                        ALONE,        "EACCES EBADF EBUSY EINVAL EOPNOTSUPP EPERM")
	CALL(fsmount,                DESC,               0,                 FD(0),                        ALONE,        "EBADF EBUSY EINVAL EMFILE ENFILE ENOMEM EPERM")
	CALL(fspick,                 FILES | DESC,       0,                 AT(0, 1),                     ALONE,        "EBADF EINVAL EMFILE ENFILE EPERM " WALK)
	CALL(pidfd_open,             DESC,               0,                 NONE,                         ALONE,        "EINVAL EMFILE ENFILE ENODEV ENOMEM ESRCH")
	CALL(clone3,                 PROC,               0,                 NONE,                         FORK,         "EACCES EAGAIN EBUSY EEXIST EINVAL ENOMEM ENOSPC EOPNOTSUPP EPERM")
	CALL(close_range,            0,                  0,                 NONE,                         CLOSE,        "EINVAL EMFILE ENOMEM")
	CALL(openat2,                FILES | DESC,       0,                 AT(0, 1),                     OPEN,         "E2BIG EBADF EXDEV " MAY_OPEN WALK)
	CALL(pidfd_getfd,            DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL EMFILE ENFILE EPERM ESRCH")
	CALL(faccessat2,             FILES | DESC,       0,                 AT(0, 1),                     ACCESS,       "EBADF EINVAL EIO EPERM EROFS ETXTBSY " WALK)
	CALL(process_madvise,        DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL ENOMEM EPERM ESRCH")
	CALL(epoll_pwait2,           DESC,               0,                 FD(0),                        EPOLL_WAIT,   "EBADF EINTR EINVAL")
	CALL(mount_setattr,          FILES | DESC,       0,                 AT(0, 1),                     ALONE,        "EBADF EBUSY EINVAL ENOSPC EPERM " WALK)
	CALL(quotactl_fd,            DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL EPERM ERANGE ESRCH")
	CALL(landlock_create_ruleset,DESC,               0,                 NONE,                         ALONE,        "E2BIG EINVAL ENOMSG EOPNOTSUPP")
	CALL(landlock_add_rule,      DESC,               0,                 FD(0),                        ALONE,        "EBADF EBADFD EINVAL ENOMSG EOPNOTSUPP EPERM")
	CALL(landlock_restrict_self, DESC,               0,                 FD(0),                        ALONE,        "E2BIG EBADF EBADFD EINVAL EOPNOTSUPP EPERM")
	CALL(memfd_secret,           DESC,               0,                 NONE,                         ALONE,        "EINVAL EMFILE ENFILE ENOMEM")
	CALL(process_mrelease,       DESC,               0,                 FD(0),                        ALONE,        "EAGAIN EBADF EINTR EINVAL ESRCH")
	CALL(futex_waitv,            0,                  0,                 NONE,                         ALONE,        "EAGAIN EINTR EINVAL ENOMEM ETIMEDOUT")
	CALL(set_mempolicy_home_node,MEM,                0,                 NONE,                         ALONE,        "EINVAL ENOENT EOPNOTSUPP")
	CALL(cachestat,              DESC,               0,                 FD(0),                        ALONE,        "EBADF EINVAL EOPNOTSUPP")
	CALL(fchmodat2,              FILES | DESC,       0,                 AT(0, 1),                     CHMOD,        "EBADF EINVAL EIO EOPNOTSUPP EPERM EROFS " WALK)
	CALL(map_shadow_stack,       MEM,                0,                 NONE,                         ALONE,        "EEXIST EINVAL ENOMEM EOPNOTSUPP EOVERFLOW")
	CALL(futex_wake,             0,                  0,                 NONE,                         ALONE,        "EINVAL")
	CALL(futex_wait,             0,                  0,                 NONE,                         ALONE,        "EAGAIN EINTR EINVAL ETIMEDOUT")
	CALL(futex_requeue,          0,                  0,                 NONE,                         ALONE,        "EAGAIN EINVAL")
};
/* clang-format on */
const size_t brunt_call_count = BRUNT_COUNT(brunt_calls);

static_assert(BRUNT_COUNT(brunt_calls) <= BRUNT_CALLS_MAX, "a set of calls has a bit for each");
