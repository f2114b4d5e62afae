// uPlot's module for browsers, which the server serves under this name.
export { default } from 'uplot';
