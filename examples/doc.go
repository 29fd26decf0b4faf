// Package examples has the examples: each is a program of one file, in a folder of its own,
// and automation_test.go shows how to test automation of your own.
package examples
