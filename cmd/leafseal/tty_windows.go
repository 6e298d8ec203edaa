package main

const ttyPath = "CONIN$"
