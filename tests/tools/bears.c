/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with known weaknesses, for `brunt survey`. It adds up the numbers of a file, one on each line, and says the
 * sum. What it does when a system call fails is its first argument:
 *
 *   bears careful FILE     tries again what is to be tried again, else says why and exits with 1
 *   bears mute FILE        exits with 1 and says nothing
 *   bears crash FILE       where it cannot open: abort(); where it cannot read: uses a null pointer
 *   bears hang FILE        where it cannot read: waits for ever
 *   bears wrong FILE       takes a read that fails for the end of the file
 *   bears heedless FILE OUT   writes the sum into OUT, and does not look whether that was done
 *   bears family FILE      as careful, in a child; says what the child says
 *   bears orphan FILE      as careful, but leaves a process of another session behind
 *   bears serve FILE       as careful, then waits for SIGTERM, and exits with 0
 *   bears chance FILE      as careful, but says something else each time
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *mode;

static int is(const char *name)
{
	return !strcmp(mode, name);
}

static void say(int fd, const char *text)
{
	while (write(fd, text, strlen(text)) < 0 && (errno == EINTR || errno == EAGAIN))
		;
}

static void __attribute__((noreturn)) give_up(const char *what)
{
	char text[256];

	if (is("mute"))
		_exit(1);
	(void)snprintf(text, sizeof(text), "bears: cannot %s: %s\n", what, strerror(errno));
	say(2, text);
	_exit(1);
}

static int is_passing(void)
{
	return errno == EINTR || errno == EAGAIN;
}

static int open_file(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags, 0600);
	while (fd < 0 && is_passing() && !is("crash") && !is("mute"));
	if (fd < 0 && is("crash"))
		abort();
	if (fd < 0)
		give_up("open");
	return fd;
}

static long long add_up(int fd)
{
	char text[4096];
	long long sum = 0;
	size_t used = 0;

	while (used < sizeof(text) - 1) {
		ssize_t size = read(fd, text + used, sizeof(text) - 1 - used);

		if (!size || (size < 0 && is("wrong")))
			break;
		if (size < 0 && is("crash"))
			(void)raise(SIGSEGV);
		while (size < 0 && is("hang"))
			(void)pause();
		if (size < 0 && (!is_passing() || is("mute")))
			give_up("read");
		if (size > 0)
			used += (size_t)size;
	}
	text[used] = '\0';
	for (char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		sum += strtoll(line, NULL, 10);
	return sum;
}

static void tell(long long sum, const char *out)
{
	int fd = out ? open_file(out, O_WRONLY | O_CREAT | O_TRUNC) : 1;
	char text[64];
	ssize_t size;

	(void)snprintf(text, sizeof(text), "sum %lld\n", sum);
	do
		size = write(fd, text, strlen(text));
	while (size < 0 && is_passing() && !is("heedless") && !is("mute"));
	if (size < 0 && !is("heedless"))
		give_up("write");
}

static int work(const char *path, const char *out)
{
	struct timespec now;
	char text[64];

	tell(add_up(open_file(path, O_RDONLY)), out);
	if (is("chance") && !clock_gettime(CLOCK_MONOTONIC, &now)) {
		(void)snprintf(text, sizeof(text), "at %ld.%09ld\n", (long)now.tv_sec, now.tv_nsec);
		say(1, text);
	}
	return 0;
}

static volatile sig_atomic_t asked;

static void on_term(int signal)
{
	(void)signal;
	asked = 1;
}

int main(int argc, char **argv)
{
	pid_t pid = 0;
	int status = 0;

	if (argc < 3)
		return 2;
	mode = argv[1];
	(void)signal(SIGTERM, on_term);
	if (is("family") || is("orphan"))
		pid = fork();
	if (!pid && is("orphan")) {
		(void)setsid();
		for (int i = 0; i < 3; i++)
			(void)close(i);
		(void)sleep(1000);
		return 0;
	}
	if (pid && is("family")) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	status = work(argv[2], argv[3]);
	while (is("serve") && !asked)
		(void)usleep(10000);
	return status;
}
