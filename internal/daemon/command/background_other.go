//go:build !unix

package command

func inBackground() {}
