/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/file.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/error.h"

static char folder[64], path[128];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/brunt-file-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/result", folder);
	return 0;
}

/* Fails when anything but the file is left, a temporary one for instance. */
static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

static void assert_content(const char *want)
{
	char text[64];
	FILE *file = fopen(path, "re");
	size_t size;

	assert_non_null(file);
	size = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[size] = '\0';
	assert_string_equal(text, want);
}

static void a_file_is_made_and_replaced_and_ends_in_one_newline(void **state)
{
	(void)state;
	assert_int_equal(brunt_file_replace(path, "first and longer", 16, NULL), 0);
	assert_content("first and longer\n");
	assert_int_equal(brunt_file_replace(path, "second\n", 7, NULL), 0);
	assert_content("second\n");
	assert_int_equal(brunt_file_replace(path, "", 0, NULL), 0);
	assert_content("\n");
}

static void what_is_there_and_no_file_stays(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(brunt_file_replace(path, "x", 1, NULL), -EINVAL);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void a_name_without_a_folder_is_in_this_one(void **state)
{
	char before[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(brunt_file_replace("result", "here", 4, NULL), 0);
	assert_int_equal(chdir(before), 0);
	assert_content("here\n");
}

static void what_cannot_be_written_is_told_and_leaves_nothing(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_file_replace("/nonexistent/result", "x", 1, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "'/nonexistent/result'"));
}

static void in_a_users_folder_the_file_of_root_is_that_users(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid()) {
		print_message("only root gives files away\n");
		skip();
	}
	assert_int_equal(brunt_file_replace(path, "x", 1, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(chown(folder, 65534, 65534), 0);
	assert_int_equal(brunt_file_replace(path, "x", 1, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65534);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_made_and_replaced_and_ends_in_one_newline, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_there_and_no_file_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_name_without_a_folder_is_in_this_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_written_is_told_and_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_a_users_folder_the_file_of_root_is_that_users, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
