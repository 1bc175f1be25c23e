"""The ids that walk through the system. All are opaque text; those the server mints are UUIDs (version 4)."""

from typing import NewType

WorkspaceId = NewType("WorkspaceId", str)
ClientId = NewType("ClientId", str)
SessionId = NewType("SessionId", str)
MessageId = NewType("MessageId", str)
RunId = NewType("RunId", str)
ToolCallId = NewType("ToolCallId", str)
PermissionId = NewType("PermissionId", str)
BatchId = NewType("BatchId", str)
