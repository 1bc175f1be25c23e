"""The HTTP face: Klein, the channel, the event stream."""
