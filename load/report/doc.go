// Package report makes what people read of the results of package load: pages with plots, comparisons, and flame graphs of profiles. A page is one file that
// fetches nothing.
package report
