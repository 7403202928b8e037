/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when the first HTTP or TCP probe needs it. Linked in, it
 * would cost every command some milliseconds and megabytes at start.
 */
#pragma once

#include <stddef.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

struct brunt_error;

struct brunt_curl {
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_version_info) *version_info;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_easy_setopt) *easy_setopt;
	__typeof__(curl_easy_getinfo) *easy_getinfo;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
	__typeof__(curl_multi_init) *multi_init;
	__typeof__(curl_multi_cleanup) *multi_cleanup;
	__typeof__(curl_multi_setopt) *multi_setopt;
	__typeof__(curl_multi_add_handle) *multi_add_handle;
	__typeof__(curl_multi_remove_handle) *multi_remove_handle;
	__typeof__(curl_multi_socket_action) *multi_socket_action;
	__typeof__(curl_multi_info_read) *multi_info_read;
	__typeof__(curl_multi_assign) *multi_assign;
};

/*
 * The functions of libcurl, loaded once per process and never unloaded. 0; -ENOENT when it is not installed, -ENOTSUP
 * when it is older than 7.85, -EIO. Not for several threads at once.
 */
int brunt_curl_load(const struct brunt_curl **ret, struct brunt_error *err);

/* Why a transfer failed, in plain words ("connection refused"), in buf; returns buf. */
const char *brunt_curl_why(const struct brunt_curl *curl, CURL *easy, CURLcode code, char *buf, size_t size);
