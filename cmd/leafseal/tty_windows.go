package main

import "os"

const ttyPath = "CONIN$"

// endsPrompt are the signals by which a prompt is cancelled.
var endsPrompt = []os.Signal{os.Interrupt}
