/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/hold.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/story.h"
#include "hold/result.h"

/* The controller left nothing: what can be said without it. */
static char *make_document(const struct brunt_run_setup *setup)
{
	bool residue = __atomic_load_n(&setup->shared->residue, __ATOMIC_ACQUIRE);
	enum brunt_verdict verdict = residue ? BRUNT_RESIDUE : BRUNT_ERROR;
	json_t *document =
		json_pack("{s:i, s:s, s:s, s:s, s:i, s:[s]}", "schema", 1, "run", setup->shared->run, "plan",
			  setup->plan->name ? setup->plan->name : "", "verdict", residue ? "residue" : "error", "exit",
			  (int)verdict, "reasons",
			  residue ? "the controller died, and something could not be undone: see `brunt recover`"
				  : "the controller died before it had judged the run; everything was undone");
	char *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL;

	json_decref(document);
	return text;
}

int result_write(const struct brunt_run_setup *setup, struct brunt_error *err)
{
	const struct brunt_result_box *box = setup->result;
	BRUNT_AUTO_FREE char *made = NULL;
	const char *text;
	size_t size;

	if (!setup->result_path)
		return 0;
	if (box && __atomic_load_n(&box->ready, __ATOMIC_ACQUIRE)) {
		text = box->text;
		/* Read once: who writes there has no privileges, and may not make root read on behind the box. */
		size = __atomic_load_n(&box->size, __ATOMIC_RELAXED);
		size = size < BRUNT_RESULT_MAX ? size : BRUNT_RESULT_MAX;
	} else {
		text = made = make_document(setup);
		if (!made)
			return brunt_fail(err, ENOMEM, "out of memory");
		size = strlen(made);
	}
	return brunt_file_replace(setup->result_path, text, size, err);
}
