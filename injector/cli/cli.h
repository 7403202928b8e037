/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands: one file each. Each takes its own argv (argv[0] is the
 * subcommand) and returns the exit status. Only this folder and the
 * screen role print.
 */
#pragma once

int brunt_cmd_run(int argc, char **argv);
int brunt_cmd_inject(int argc, char **argv);
int brunt_cmd_check(int argc, char **argv);
int brunt_cmd_faults(int argc, char **argv);
int brunt_cmd_survey(int argc, char **argv);
int brunt_cmd_schema(int argc, char **argv);
int brunt_cmd_doctor(int argc, char **argv);
int brunt_cmd_status(int argc, char **argv);
int brunt_cmd_stop(int argc, char **argv);
int brunt_cmd_recover(int argc, char **argv);
int brunt_cmd_report(int argc, char **argv);
