// Tells when a request leaves: as its head is handed to the connection, which may have had to be made first or to become free. Of undici's
// dispatchers; knows no request in particular.
import type { Dispatcher } from './undici.ts';

/** Options of a request whose departure is of interest. */
export interface DepartingOptions extends Dispatcher.RequestOptions {
  readonly onDeparture: (() => void) | undefined;
}

/** Calls the request's `onDeparture`, once for each time that it is handed to a connection. */
export const tellDeparture: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { onDeparture } = options as Partial<DepartingOptions>;
  if (onDeparture === undefined) return dispatch(options, handler);
  return dispatch(options, {
    onRequestStart: (controller, context: unknown) => {
      onDeparture();
      handler.onRequestStart?.(controller, context);
    },
    onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
    onResponseStart: (...args) => handler.onResponseStart?.(...args),
    onResponseData: (...args) => handler.onResponseData?.(...args),
    onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
    onResponseError: (...args) => handler.onResponseError?.(...args),
  });
};
