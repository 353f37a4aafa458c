//go:build !unix

package main

func inBackground() {}
