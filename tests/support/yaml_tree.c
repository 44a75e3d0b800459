/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/yaml_tree.h"

struct slice
yaml_scalar(const yaml_node_t *n)
{
	if (n == NULL || n->type != YAML_SCALAR_NODE)
		return slice_of(NULL, 0);
	return slice_of((const char *)n->data.scalar.value, n->data.scalar.length);
}

yaml_node_t *
yaml_member(yaml_document_t *doc, const yaml_node_t *map, const char *key)
{
	if (map == NULL || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++)
		if (slice_equal(yaml_scalar(yaml_document_get_node(doc, p->key)), slice_str(key)))
			return yaml_document_get_node(doc, p->value);
	return NULL;
}

yaml_node_t *
yaml_item(yaml_document_t *doc, const yaml_node_t *n, size_t i)
{
	if (n == NULL || n->type != YAML_SEQUENCE_NODE ||
	    i >= (size_t)(n->data.sequence.items.top - n->data.sequence.items.start))
		return NULL;
	return yaml_document_get_node(doc, n->data.sequence.items.start[i]);
}
