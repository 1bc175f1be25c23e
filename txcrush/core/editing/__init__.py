"""What an edit means, as functions on text: no file, no tool, no thread (`tools.md` 7, 11, 12, 14.1).

They stand in the core, not beside the tools: they are the product's rules, whoever applies them.
"""
