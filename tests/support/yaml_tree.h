/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         yaml_tree - reading the public suites that are YAML
 * DESCRIPTION  libyaml's documents, by key and index. Slices borrow from the document.
 */
#ifndef ASSAY_TEST_YAML_TREE_H
#define ASSAY_TEST_YAML_TREE_H

#include <yaml.h>

#include "policy/base/slice.h"

/* The text of a scalar; empty for anything else, NULL included. */
struct slice yaml_scalar(const yaml_node_t *n);

/* The value under that key of a mapping, or NULL. */
yaml_node_t *yaml_member(yaml_document_t *doc, const yaml_node_t *map, const char *key);

/* The i-th item of a sequence, or NULL behind its end or when n is no sequence. */
yaml_node_t *yaml_item(yaml_document_t *doc, const yaml_node_t *n, size_t i);

#endif
