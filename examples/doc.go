// Package examples contains example programs. Each program is one file in its own directory.
// automation_test.go shows how to test a program that uses the SDK.
package examples
