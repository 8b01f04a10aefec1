#pragma once

#include <jansson.h>

#include "store/document.h"

/* A Document is a json_t under another name, so that jansson's types stay behind this door. */
static inline json_t *node_of(const Document *document)
{
  return (json_t *)(uintptr_t)document;
}

static inline Document *document_of(json_t *node)
{
  return (Document *)node;
}
