/* measure RESULT [-u UID] PROGRAM [ARGUMENT]...
 *
 * Runs PROGRAM once and writes to the descriptor RESULT: the nanoseconds from its start until it has been
 * waited for, its peak resident set size in KiB (the largest of its processes), its wait status, and the
 * microseconds of processor time that it and its children used.
 *
 * This is a small program on purpose. The kernel counts the memory of the caller of exec as that of the
 * program executed, so an interpreter would measure itself.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments)
{
	int result = count > 1 ? atoi(arguments[1]) : 0;
	char **program = arguments + 2;
	if (count > 4 && strcmp(arguments[2], "-u") == 0) {
		uid_t user = (uid_t)strtoul(arguments[3], NULL, 10);
		if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0)
			err(2, "can't become user %s", arguments[2]);
		program += 2;
	}
	if (count < 3 || !*program)
		errx(2, "nothing to run");
	if (fcntl(result, F_SETFD, FD_CLOEXEC) < 0)
		err(2, "descriptor %d", result);

	pid_t child;
	struct rusage usage;
	int status;
	long long start = now();
	if ((errno = posix_spawn(&child, *program, NULL, NULL, program, environ)) != 0)
		err(2, "%s", *program);
	if (wait4(child, &status, 0, &usage) < 0)
		err(2, "wait4");
	long long end = now();
	long long processor = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
		usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	dprintf(result, "%lld %ld %d %lld\n", end - start, usage.ru_maxrss, status, processor);
	return 0;
}
